"""What the judge said, as it is stored: the newest, and the last of each stage. Pure."""

from __future__ import annotations

import msgspec

from gateway.release.judge.evidence import Evidence


class Testimony(msgspec.Struct, frozen=True):
    """For people and reports; the machine is given evidence as it is made."""

    newest: Evidence | None = None
    stages: dict[int, Evidence] = {}
    warnings: tuple[str, ...] = ()  # about what was learnt of stable before the first stage

    def with_evidence(self, stage: int, evidence: Evidence) -> Testimony:
        stages = {**self.stages, stage: evidence} if stage >= 0 else self.stages
        return msgspec.structs.replace(self, newest=evidence, stages=stages)


def encode(testimony: Testimony) -> bytes:
    return msgspec.json.encode(testimony)


def read_testimony(text: bytes) -> Testimony:
    """What `encode` wrote; nothing when it is of another release of ours, or somebody's own."""
    try:
        return msgspec.json.decode(text, type=Testimony) if text else Testimony()
    except msgspec.MsgspecError:
        return Testimony()
