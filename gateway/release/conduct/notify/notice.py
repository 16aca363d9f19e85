"""One thing that happened to a release, and how it is told. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

MOST_TEXT = 1500  # characters; chat services cut or refuse what is longer

TITLES = {
    "started": "Release started",
    "stage": "Next stage",
    "approval": "Approval wanted",
    "alarm": "Alarm",
    "hold": "Release held",
    "rollback": "ROLLED BACK",
    "paused": "Release paused",
    "inconclusive": "Inconclusive",
    "promoted": "Promoted",
    "ended": "Release ended",
    "drill": "Drill",
}


class Notice(msgspec.Struct, frozen=True):
    """What is told once for each `id`; a repetition after a crash has the same id."""

    id: str
    event: str
    route: str
    release: str
    candidate: str
    stable: str
    text: str
    at: float


def title(notice: Notice) -> str:
    what = TITLES.get(notice.event, notice.event)
    return f"{what}: {notice.route}, {notice.stable} to {notice.candidate}"


def lines(notice: Notice) -> list[str]:
    """The message below the title, for people."""
    at = datetime.fromtimestamp(notice.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    text = notice.text.strip() or TITLES.get(notice.event, notice.event)
    if len(text) > MOST_TEXT:
        text = text[: MOST_TEXT - 3] + "..."
    return [text, f"Release {notice.release}, {at}.", f"graygate release status {notice.route}"]
