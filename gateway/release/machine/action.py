"""What must be done after a step; whoever carries it out decides nothing."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.release.machine.status import Status


class SetWeight(msgspec.Struct, frozen=True, tag=True):
    """Write the candidate's percent, in the same step as the status."""

    version: str
    percent: float
    why: str


class SetSegments(msgspec.Struct, frozen=True, tag=True):
    """Let exactly these segments have the version, by a rule of this release; none = no rule."""

    version: str
    segments: tuple[str, ...]
    why: str


class MakeStable(msgspec.Struct, frozen=True, tag=True):
    """Make the version the route's stable, and drop its weight: one write."""

    version: str
    why: str


class MarkEvidence(msgspec.Struct, frozen=True, tag=True):
    """Have the judge count fresh evidence from here on: `Judge.mark`."""


class Notify(msgspec.Struct, frozen=True, tag=True):
    """Tell these channels, in plain words."""

    kind: str
    text: str
    channels: tuple[str, ...] = ()


class Propose(msgspec.Struct, frozen=True, tag=True):
    """Ask a person; an approval names `about`, so that it agrees to this and nothing else."""

    verb: Literal["promote", "rollback", "abort", "make-stable"]
    text: str
    about: str


class Record(msgspec.Struct, frozen=True, tag=True):
    """One line for the release's log; it is in the status as well."""

    text: str


Action = SetWeight | SetSegments | MakeStable | MarkEvidence | Notify | Propose | Record


class Step(msgspec.Struct, frozen=True):
    """The new status, and what must be done with it in one write; order matters."""

    status: Status
    actions: tuple[Action, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether the route's own keys change, and not only what is remembered and said."""
        kinds = (SetWeight, SetSegments, MakeStable)
        return any(isinstance(action, kinds) for action in self.actions)
