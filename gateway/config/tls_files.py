"""Whether the TLS files that a section names are there and can be used together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

NOT_THERE = "names a file that is not there"


def wrong_with_tls(
    section: str, *, ca: str = "", cert: str = "", key: str = ""
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong and the settings it is about; the files are read, never repeated."""
    named = {f"{section}.tls_{name}": path for name, path in _named(ca, cert, key)}
    missing = [setting for setting, path in named.items() if not _is_there(path)]
    for setting in missing:
        yield (setting,), NOT_THERE
    if bool(cert) != bool(key):
        given, lacking = ("cert", "key") if cert else ("key", "cert")
        keys = (f"{section}.tls_{given}", f"{section}.tls_{lacking}")
        yield keys, f"{keys[0]} needs {keys[1]} beside it"
    elif cert and not missing:
        yield from _unusable_pair(section, cert, key)
    if ca and _is_there(ca):
        yield from _unusable_ca(section, ca)


def _named(ca: str, cert: str, key: str) -> list[tuple[str, str]]:
    return [(name, path) for name, path in (("ca", ca), ("cert", cert), ("key", key)) if path]


def _is_there(path: str) -> bool:
    return "\0" not in path and Path(path).is_file()


def _unusable_pair(section: str, cert: str, key: str) -> Iterator[tuple[tuple[str, ...], str]]:
    import ssl  # only who uses TLS pays for it

    keys = (f"{section}.tls_cert", f"{section}.tls_key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without the password a key that has one would be asked for on the terminal.
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield keys, f"{keys[1]} is not the key of the certificate in {keys[0]}"
        else:
            yield keys, f"{keys[0]} and {keys[1]} must name a PEM certificate and its open key"
    except OSError as error:
        yield keys, f"{keys[0]} or {keys[1]} cannot be read: {error.strerror}"


def _unusable_ca(section: str, ca: str) -> Iterator[tuple[tuple[str, ...], str]]:
    import ssl

    keys = (f"{section}.tls_ca",)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        yield keys, "holds no PEM certificate"
    except OSError as error:
        yield keys, f"cannot be read: {error.strerror}"
