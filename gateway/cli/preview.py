"""`graygate preview`: who would move at other weights; nothing is written."""

from __future__ import annotations

from collections import Counter

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.ids import Progress, portions, read_ids
from gateway.cli.shown import percent, print_json, table
from gateway.cli.weights import parse_weights


class _Move(msgspec.Struct):
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    units: int = 0


class _Preview(msgspec.Struct):
    units: int
    moves: list[_Move]
    before: dict[str, int]
    after: dict[str, int]


@click.command()
@gateway_flags
@click.option("--units", "file", metavar="FILE|-", help="ids to look at, one a line")
@click.option("--sample", type=click.IntRange(1, 100_000), help="so many made-up ids instead")
@click.argument("route")
@click.argument(
    "wanted", nargs=-1, required=True, metavar="VERSION=PERCENT...", callback=parse_weights
)
def preview(
    gateway: Gateway,
    as_json: bool,
    file: str | None,
    sample: int | None,
    route: str,
    wanted: dict[str, float],
) -> None:
    """Tell how many units would move at other weights, and where to.

    \b
    graygate preview chat v2=20
    """
    if file is not None and sample is not None:
        raise click.UsageError("--units and --sample exclude each other")
    parts: list[dict[str, object]] = [{} if sample is None else {"sample": sample}]
    progress = Progress(0)
    if file is not None:
        ids = read_ids(file)
        progress = Progress(len(ids))
        parts = [{"units": portion} for portion in portions(ids)]
    seen: list[_Preview] = []
    for part in parts:
        content = {"weights": wanted, **part}
        reply = gateway.call("POST", "routes", route, "preview", content=content)
        seen.append(reply.read(_Preview))
        progress.add(seen[-1].units)
    found = seen[0] if len(seen) == 1 else _together(seen)
    if as_json:
        print_json(msgspec.json.encode(found))
    else:
        click.echo(_told(found))


def _together(seen: list[_Preview]) -> _Preview:
    moves: Counter[tuple[str, str]] = Counter()
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for part in seen:
        before.update(part.before)
        after.update(part.after)
        moves.update({(move.start, move.end): move.units for move in part.moves})
    listed = [_Move(start, end, units) for (start, end), units in moves.items()]
    return _Preview(sum(part.units for part in seen), listed, dict(before), dict(after))


def _told(found: _Preview) -> str:
    moved = sum(move.units for move in found.moves)
    lines = [f"{moved} of {found.units} units would move."]
    if found.moves:
        rows = [(move.start, move.end, str(move.units)) for move in found.moves]
        lines += ["", table(("FROM", "TO", "UNITS"), rows)]
    shares = [
        (version, _share(found.before, version, found), _share(found.after, version, found))
        for version in sorted({*found.before, *found.after})
    ]
    return "\n".join([*lines, "", table(("VERSION", "BEFORE", "AFTER"), shares)])


def _share(counts: dict[str, int], version: str, found: _Preview) -> str:
    return percent(round(100 * counts.get(version, 0) / max(found.units, 1), 2))
