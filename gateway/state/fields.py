"""The fields of a route, one by one: text in, value out, ValueError that says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from gateway.release.compare.spec import read_spec
from gateway.routing.facts import canonical_path
from gateway.routing.unit import parse_source

MAX_TIMEOUT_SECONDS = 86_400
MAX_RETRIES = 5
MAX_AT_A_TIME = 1_000_000
MAX_BODY_BYTES = 2**40
MAX_COMPARISON_BYTES = 8192
MIN_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS = 0.1, 3600
BALANCES = ("least", "rendezvous")
DIALECTS = ("openai", "anthropic", "kserve", "problem")
TIMEOUTS = ("queue", "connect", "first_byte", "idle", "total")

PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?")
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
_HOST = re.compile(
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
    r"|\[[0-9a-f:.]+\]"
)
_HEALTH_PATH = re.compile(r"/[!-\"$-~]{0,1000}")
_WHOLE = re.compile(r"[0-9]{1,7}")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?(b|[kmg]i?b)?", re.IGNORECASE)
_BYTES = {
    "b": 1,
    **{"kb": 10**3, "mb": 10**6, "gb": 10**9},
    **{"kib": 2**10, "mib": 2**20, "gib": 2**30},
}
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def short(text: str) -> str:
    """`text` in quotes, cut to what fits a sentence, with nothing a terminal would obey."""
    return ascii(text if len(text) <= 64 else text[:61] + "...")


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


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"{short(text)} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    size = float(found[1]) * _BYTES[(found[2] or "b").lower()] if found else -1
    if not 0 <= size <= MAX_BODY_BYTES:
        raise ValueError(f"{short(text)} is no size up to 1024GiB; write bytes, or 10MB, 64KiB")
    return int(size)


def _health_path(text: str) -> str:
    if not _HEALTH_PATH.fullmatch(text):
        raise ValueError(f"{short(text)} is no path to ask for; write for instance /health")
    return text


def _interval(text: str) -> float:
    if (
        not _SECONDS.fullmatch(text)
        or not MIN_INTERVAL_SECONDS <= float(text) <= MAX_INTERVAL_SECONDS
    ):
        raise ValueError(
            f"{short(text)} is not a number of seconds from {MIN_INTERVAL_SECONDS} "
            f"to {MAX_INTERVAL_SECONDS}"
        )
    return float(text)


def _name(text: str) -> str:
    if not text:
        raise ValueError("is empty; delete the field instead")
    return text  # whether there is such a version is for the whole route to say


def _comparison(text: str) -> str:
    """Kept as it was written: whoever compares reads it again."""
    if len(text.encode()) > MAX_COMPARISON_BYTES:
        raise ValueError(f"is longer than {MAX_COMPARISON_BYTES} bytes")
    if not text.startswith("{"):
        raise ValueError(f'{short(text)} is no JSON object; write {{}} or {{"kind": "label"}}')
    read_spec(text)
    return text


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
    "balance": ("balance", _one_of(*BALANCES)),
    "retries": ("retries", _whole(0, MAX_RETRIES)),
    "max_requests": ("max_requests", _whole(1, MAX_AT_A_TIME)),
    "max_pending": ("max_pending", _whole(0, MAX_AT_A_TIME)),
    "max_connections": ("max_connections", _whole(1, MAX_AT_A_TIME)),
    "health": ("health_path", _health_path),
    "health_interval": ("health_interval", _interval),
    "body_limit": ("body_limit", _size),
    "mirror": ("mirror", _name),
    "mirror_percent": ("mirror_percent", _percent),
    "mirror_credentials": ("mirror_credentials", _flag),
    "mirror_self": ("mirror_self", _percent),
    "compare": ("compare", _comparison),
    "feedback": ("feedback", _percent),
}
