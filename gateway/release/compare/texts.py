"""Free text: what can be said of it without understanding it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from gateway.release.compare.answer import Answer, Comparison, Unreadable
from gateway.release.compare.paths import find, split
from gateway.release.compare.spec import CompareSpec

EVENTS = "text/event-stream"
_LINES = ("application/x-ndjson", "application/jsonl")
_SHORT = 40  # characters; the lengths of short answers say nothing

# Where OpenAI, Anthropic, Ollama and KServe have their text, whole and in pieces.
_USUAL = (
    *("choices.0.message.content", "choices.0.delta.content", "choices.0.text"),
    *("content.*.text", "delta.text", "message.content", "response", "output_text", "text_output"),
)
_REFUSALS = (
    *("i can't", "i cannot", "i'm sorry, but", "i am sorry, but", "i'm not able to"),
    *("i'm unable to", "i am unable to", "i won't", "as an ai", "sorry, i can't", "sorry, but i"),
    *("抱歉", "对不起", "很抱歉", "我无法", "我不能", "作为一个ai", "作为ai"),
)

Distance = Callable[[str, str], float]


def text_of(answer: Answer, path: str) -> str:
    """What an answer says, a stream's pieces put together. Raises Unreadable."""
    if answer.media_type == "text/plain":
        return _decoded(answer.content())
    if answer.media_type == EVENTS:
        documents = list(_events(_decoded(answer.content())))
    elif answer.media_type in _LINES:
        documents = list(_lines(_decoded(answer.content())))
    else:
        documents = [answer.document()]
    for each in [path] if path else _USUAL:
        found = [v for d in documents for v in find(d, split(each)) if isinstance(v, str)]
        if found:
            return "".join(found)
    # A stream may well have said nothing; of a document that has no such place nobody knows.
    if answer.media_type in (EVENTS, *_LINES):
        return ""
    raise Unreadable(f"there is no text at {path or 'any of the usual places'}")


def compare_texts(
    one: Answer, other: Answer, spec: CompareSpec, distance: Distance | None = None
) -> Comparison:
    """Emptiness, refusal, structure and length; then the plug-in's distance, if there is one."""
    ours, theirs = text_of(one, spec.path).strip(), text_of(other, spec.path).strip()
    if ours == theirs:
        return Comparison(differs=False)
    if not ours or not theirs:
        return Comparison(True, "empty", spec.path, 1.0)
    if is_refusal(ours, spec.refusals) != is_refusal(theirs, spec.refusals):
        return Comparison(True, "refusal", spec.path, 1.0)
    if _is_json(ours) != _is_json(theirs):
        return Comparison(True, "structure", spec.path, 1.0)
    shorter, longer = sorted((len(ours), len(theirs)))
    if longer > _SHORT and shorter < spec.shortest * longer:
        return Comparison(True, "length", spec.path, 1.0 - shorter / longer)
    if distance is None:
        return Comparison(False, "", spec.path, 1.0 - shorter / longer)
    apart = min(max(distance(ours, theirs), 0.0), 1.0)
    return Comparison(apart > spec.distance, "distance" if apart > spec.distance else "", "", apart)


def is_refusal(text: str, more: tuple[str, ...] = ()) -> bool:
    """By how it begins."""
    begins = re.sub(r"\s+", " ", text[:80]).lower().replace("\u2019", "'").lstrip("\"'*_ ")
    return begins.startswith((*_REFUSALS, *(each.lower() for each in more)))


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Unreadable("the body is no UTF-8") from None


def _events(text: str) -> Iterator[object]:
    for event in re.split(r"\r?\n\r?\n", text):
        data = [
            line[5:].removeprefix(" ") for line in event.splitlines() if line.startswith("data:")
        ]
        if data and data != ["[DONE]"]:
            yield _json("\n".join(data))


def _lines(text: str) -> Iterator[object]:
    for line in text.splitlines():
        if line.strip():
            yield _json(line)


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Unreadable("a piece of the stream is no JSON") from None


def _is_json(text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return True
