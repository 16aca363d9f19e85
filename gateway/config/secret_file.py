"""Secrets that stand in a file of their own, as orchestrators mount them."""

from __future__ import annotations

from pathlib import Path

from gateway.config.secret import Secret

_MOST_BYTES = 65_536


def read_secret(path: str) -> Secret:
    """Reads a secret, less one line end; ValueError with a sentence when there is none.

    The sentence does not repeat the path: the secret itself is often put there by mistake.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode()
    except UnicodeDecodeError:
        # Not chained: the error carries the bytes it could not decode.
        raise ValueError("names a file that is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError("names a file that cannot be read: it is not a path") from None
    if len(content) > _MOST_BYTES:
        raise ValueError(f"names a file longer than {_MOST_BYTES} bytes")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("names a file that is empty")
    return Secret(text)
