"""One version as operators write it: URLs separated by spaces, or JSON with notes of their own.

http://10.0.0.1:8000 http://10.0.0.2:8000
{"urls": ["http+unix://%2Frun%2Fmodel.sock"], "rewrite_model": "llama-3-8b", "owner": "search"}
{"urls": ["http://10.0.0.1:8000"], "state": "retired"}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from gateway.routing.spec import VersionSpec
from gateway.state.fields import short

MAX_URLS = 200
MAX_META_DEPTH = 32
MAX_MODEL_LETTERS = 256
# The address of a socket file has room for so many bytes and a final zero (104 on macOS).
MAX_SOCKET_BYTES = 103

ACTIVE, RETIRED = "active", "retired"

UrlRule = Callable[[str], str | None]  # why an endpoint may not be there

_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
# What resolvers take for an IPv4 address: 2852039166, 0xa9fea9fe, 169.254.43518.
_NUMBER_LIKE = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class WrongVersion(ValueError):
    """Why a version cannot be taken over; `reason` is the word that a refusal carries."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def read_version(text: str, wrong_place: UrlRule | None = None) -> VersionSpec:
    """Raises WrongVersion with one sentence that goes after the version's name.

    `wrong_place` says of a well-formed URL why no endpoint may be there.
    """
    meta: dict[str, object] = {}
    urls: object = text.split()
    if text.startswith("{"):
        meta = _json(text)
        urls = meta.pop("urls", [])
        if isinstance(urls, str):
            urls = urls.split()
    model, is_retired = _model(meta), _is_retired(meta)
    # Where a retired version was is not asked: nobody goes there.
    found = _urls(urls, None if is_retired else wrong_place)
    return VersionSpec(urls=found, rewrite_model=model, meta=meta, is_retired=is_retired)


def is_retired(text: str) -> bool:
    """Whether a version, as it stands in the store, is kept for the record only."""
    return text.lstrip().startswith("{") and '"retired"' in text and _says_retired(text)


def wrong_with_url(url: str) -> str | None:
    """What is wrong with an endpoint's URL, never repeating a password that stands in it."""
    if not url.isascii() or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        return "it has a character outside printable ASCII"
    try:
        parts = urlsplit(url)
        user = parts.username
    except ValueError:
        return f"{_safe(url)} is no URL; write http://host:port"
    if user is not None or "@" in parts.netloc:
        return "it holds a user or password; credentials do not belong into the store"
    if parts.scheme not in ("http", "https", "http+unix"):
        return f"{_safe(url)} does not begin with http://, https:// or http+unix://"
    if "?" in url or "#" in url:
        return f"{_safe(url)} has a query or fragment; an endpoint is scheme, host, port, path"
    if parts.scheme == "http+unix":
        return _wrong_with_socket(url, parts.netloc)
    return _wrong_with_host(url)


def wrong_with_meta(value: object, depth: int = 0) -> str | None:
    """What keeps JSON that people wrote about a version from being passed on to the workers."""
    if depth > MAX_META_DEPTH:
        return "is nested too deeply"
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return "holds a number beyond 64 bits; put it into quotes"
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((wrong for part in parts if (wrong := wrong_with_meta(part, depth + 1))), None)


def why(error: BaseException) -> str:
    """What a decoder complains about, in words for operators."""
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _json(text: str) -> dict[str, object]:
    try:
        meta = msgspec.json.decode(text.encode(), type=dict[str, object])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise WrongVersion("bad_value", f"is not valid JSON: {why(error)}") from None
    wrong = wrong_with_meta(meta)
    if wrong:
        raise WrongVersion("bad_value", wrong)
    return meta


def _model(meta: dict[str, object]) -> str:
    if "rewrite_model" not in meta:
        return ""
    model = meta.pop("rewrite_model")
    if not isinstance(model, str) or not model or not model.isprintable():
        raise WrongVersion("bad_value", "has a rewrite_model that is no name; leave it out")
    if len(model) > MAX_MODEL_LETTERS:
        raise WrongVersion(
            "bad_value", f"has a rewrite_model of more than {MAX_MODEL_LETTERS} letters"
        )
    return model


def _is_retired(meta: dict[str, object]) -> bool:
    state = meta.pop("state", ACTIVE)
    if state not in (ACTIVE, RETIRED):
        raise WrongVersion("bad_value", f"has a state that is neither {ACTIVE} nor {RETIRED}")
    return state == RETIRED


def _says_retired(text: str) -> bool:
    try:
        return _is_retired(_json(text.strip()))
    except WrongVersion:
        return False


def _urls(urls: object, wrong_place: UrlRule | None) -> tuple[str, ...]:
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise WrongVersion("bad_url", "has no URL; write http://host:port")
    if len(urls) > MAX_URLS:
        raise WrongVersion("too_large", f"has more than {MAX_URLS} URLs; put a balancer in between")
    wrong = next((wrong for url in urls if (wrong := wrong_with_url(url))), None)
    if wrong:
        raise WrongVersion("bad_url", f"has a URL that cannot be used: {wrong}")
    for url in urls:
        misplaced = wrong_place(url) if wrong_place else None
        if misplaced:
            text = f"has a URL that may not be used: {_safe(url)}: {misplaced}"
            raise WrongVersion("bad_url", text)
    return tuple(dict.fromkeys(urls))


def _wrong_with_host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if host and parts.netloc.startswith("["):
            IPv6Address(host)
    except ValueError:
        return f"{_safe(url)} is no URL; write http://host:port"
    if not host or port == 0:
        return f"{_safe(url)} has no host or port 0; write http://host:port"
    if "%" in host or not (parts.netloc.startswith("[") or _HOST_NAME.fullmatch(host)):
        return f"{_safe(url)} has a host that is neither a name nor an address"
    if ":" not in host and _NUMBER_LIKE.fullmatch(host) and not _is_dotted(host):
        return f"{_safe(url)} hides an address; write it with four numbers, as in 10.0.0.1"
    return None


def _is_dotted(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _wrong_with_socket(url: str, place: str) -> str | None:
    path = unquote_to_bytes(place)
    if not path.startswith(b"/") or _BROKEN_ESCAPE.search(place) or ":" in place:
        return f"{_safe(url)} names no socket; write http+unix://%2Frun%2Fmodel.sock"
    if len(path) > MAX_SOCKET_BYTES or b"\0" in path or path.endswith(b"/"):
        return (
            f"{_safe(url)} names no socket that can be: the path of a file, "
            f"at most {MAX_SOCKET_BYTES} bytes"
        )
    return None


def _safe(url: str) -> str:
    """What of a wrong URL may be shown: a password or key stands before an @ or after a ?."""
    return short(re.split(r"[?#]", url.rpartition("@")[2])[0])
