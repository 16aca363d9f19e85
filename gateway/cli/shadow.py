"""`graygate shadow`: how a mirror's answers compare with those of stable."""

from __future__ import annotations

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.shown import plain, print_json, table


class _Pairs(msgspec.Struct):
    same: int
    different: int
    unreadable: int
    agreement: float | None
    reasons: dict[str, int]


class _Drift(msgspec.Struct):
    kind: str = msgspec.field(name="class")
    psi: float
    limit: float | None
    is_drift: bool


class _Failing(msgspec.Struct):
    errors: int
    newest: str


class _Shadow(msgspec.Struct):
    compares: bool
    candidate: str
    stable: str
    pairs: dict[str, _Pairs]
    excess: float | None
    unreadable: dict[str, int]
    drift: list[_Drift]
    holds: list[str]
    plugins: dict[str, _Failing]


class _Example(msgspec.Struct):
    request_id: str
    kind: str
    version: str
    reason: str
    where: str
    stable_answer: str
    copy_answer: str


@click.command()
@gateway_flags
@click.option("--examples", is_flag=True, help="pieces of the last answers that differed")
@click.argument("route")
def shadow(gateway: Gateway, as_json: bool, examples: bool, route: str) -> None:
    """Show how a mirror's answers compare with those of stable.

    A model differs from itself, too: what counts is by how much oftener the mirror does. The
    numbers are those of one gateway, since its control process began or the comparison changed.
    """
    path = ("shadow", "examples") if examples else ("shadow",)
    reply = gateway.get("routes", route, *path)
    if as_json:
        print_json(reply.body)
    elif examples:
        found = reply.read(list[_Example])
        click.echo("\n\n".join(map(_shown, found)) or f"{route}: no answers that differ are kept.")
    else:
        click.echo("\n".join(_told(route, reply.read(_Shadow))))


def _told(route: str, found: _Shadow) -> list[str]:
    if not found.compares:
        how = f"graygate route set {route} mirror=VERSION compare='{{}}'"
        return [f"{route}: no answers are compared; begin with: {how}"]
    rows = [
        (
            f"{found.candidate if kind == 'candidate' else found.stable} with {found.stable}",
            *(str(n) for n in (pairs.same, pairs.different, pairs.unreadable)),
            _percent(pairs.agreement),
            ", ".join(f"{plain(reason)} {count}" for reason, count in pairs.reasons.items()),
        )
        for kind, pairs in found.pairs.items()
    ]
    head = ("ANSWERS OF", "SAME", "DIFFERENT", "UNREADABLE", "AGREEMENT", "WHY DIFFERENT")
    lines = [table(head, rows)]
    if found.excess is not None:
        more = f"{found.excess * 100:.1f} points"
        lines += ["", f"{found.candidate} differs {more} oftener than {found.stable} from itself."]
    for one in found.drift:
        limit = "too few answers to tell" if one.limit is None else f"drift from {one.limit:.3f} on"
        word = " <- drift" if one.is_drift else ""
        lines.append(f"PSI of {plain(one.kind)}: {one.psi:.3f} ({limit}){word}")
    lines += [f"unreadable, {count} times: {plain(why)}" for why, count in found.unreadable.items()]
    lines += [
        f"plug-in {plain(name)} failed {one.errors} times; the last time it {plain(one.newest)}"
        for name, one in found.plugins.items()
    ]
    lines += [f"speaks for holding a release: {plain(why)}" for why in found.holds]
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"


def _shown(one: _Example) -> str:
    where = f" at {plain(one.where)}" if one.where else ""
    return "\n".join(
        [
            f"{plain(one.request_id)}: {plain(one.reason)}{where}",
            f"  stable     {plain(one.stable_answer)}",
            f"  {one.version:<10} {plain(one.copy_answer)}",
        ]
    )
