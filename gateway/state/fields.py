"""The fields of a route, one by one: text in, value out, ValueError that says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from gateway.routing.facts import canonical_path
from gateway.routing.unit import parse_source

MAX_TIMEOUT_SECONDS = 86_400
MAX_META_DEPTH = 32
DIALECTS = ("openai", "anthropic", "kserve", "problem")
TIMEOUTS = ("connect", "first_byte", "idle", "total")

PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?")
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
_HOST = re.compile(
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
    r"|\[[0-9a-f:.]+\]"
)
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def short(text: str) -> str:
    """`text` in quotes, cut to what fits a sentence, with nothing a terminal would obey."""
    return ascii(text if len(text) <= 64 else text[:61] + "...")


def _safe(url: str) -> str:
    """What of a wrong URL may be shown: a password or key stands before an @ or after a ?."""
    return short(re.split(r"[?#]", url.rpartition("@")[2])[0])


def wrong_with_url(url: str) -> str | None:
    """What is wrong with an endpoint's URL, never repeating a password that stands in it."""
    if not url.isascii() or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        return "a URL has a character outside printable ASCII"
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError:
        return f"{_safe(url)} is no URL; write http://host:port"
    if user is not None or "@" in parts.netloc:
        return "a URL holds a user or password; credentials do not belong into the store"
    if parts.scheme not in ("http", "https"):
        return f"{_safe(url)} does not begin with http:// or https://"
    if not host or port == 0:
        return f"{_safe(url)} has no host or port 0; write http://host:port"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return f"{_safe(url)} has a query or fragment; an endpoint is scheme, host, port, path"
    return None


def wrong_with_meta(value: object, depth: int = 0) -> str | None:
    """What keeps JSON that people wrote about a version from being passed on to the workers."""
    if depth > MAX_META_DEPTH:
        return "is nested too deeply"
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return "holds a number beyond 64 bits; put it into quotes"
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((wrong for part in parts if (wrong := wrong_with_meta(part, depth + 1))), None)


def _words(text: str) -> list[str]:
    words = text.replace(",", " ").split()
    if not words:
        raise ValueError("is empty; delete the field instead")
    return list(dict.fromkeys(words))


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(word.lower().rstrip(".") for word in _words(text))
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{short(host)} is no host name; leave out scheme and port")
    return hosts


def _paths(text: str) -> tuple[str, ...]:
    for path in (paths := _words(text)):
        if not path.startswith("/") or canonical_path(path.encode()) != path.encode():
            raise ValueError(
                f"{short(path)} is no path prefix: begin with /, without '//', dots, '?' or '#'"
            )
    return tuple(paths)


def _models(text: str) -> tuple[str, ...]:
    return tuple(_words(text))


def _methods(text: str) -> tuple[str, ...]:
    methods = tuple(word.upper() for word in _words(text))
    for method in methods:
        if not _METHOD.fullmatch(method):
            raise ValueError(f"{short(method)} is no HTTP method")
    return methods


def _unit(text: str) -> tuple[str, ...]:
    words = _words(text)
    for word in words:
        parse_source(word)
    return tuple(words)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{short(text)} is not one of {', '.join(choices)}")
        return text

    return parse


def _flag(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"{short(text)} is neither 1 nor 0")


def _percent(text: str) -> float:
    if not PERCENT.fullmatch(text) or float(text) > 100:
        raise ValueError(f"{short(text)} is not a percent from 0 to 100")
    return float(text)


def seconds(text: str) -> float:
    if not _SECONDS.fullmatch(text) or not 0 < float(text) <= MAX_TIMEOUT_SECONDS:
        raise ValueError(
            f"{short(text)} is not a number of seconds above 0, at most {MAX_TIMEOUT_SECONDS}"
        )
    return float(text)


FIELDS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "host": ("hosts", _hosts),
    "path": ("paths", _paths),
    "model": ("models", _models),
    "methods": ("methods", _methods),
    "unit": ("unit", _unit),
    "jwt": ("jwt", _one_of("verified", "trusted")),
    "paused": ("paused", _flag),
    "dialect": ("dialect", _one_of(*DIALECTS)),
    "failover": ("failover", _flag),
    "spill_cap": ("spill_cap", _percent),
}
