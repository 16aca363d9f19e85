"""`graygate explain`: which version a unit or a request gets, and why."""

from __future__ import annotations

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.shown import percent, plain, print_json, table


class _Step(msgspec.Struct):
    reason: str
    hit: bool
    text: str


class _Explanation(msgspec.Struct):
    route: str
    version: str
    reason: str
    unit: str | None
    source: str
    rule: str | None
    percent: float | None
    intervals: dict[str, list[tuple[float, float]]]
    steps: list[_Step]


def _headers(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip().lower()
        if not equals or not name:
            raise click.UsageError("--header takes NAME=VALUE, as in --header x-user-id=alice", ctx)
        if name in headers:
            raise click.UsageError(f"--header {name} is given twice; keep one of them", ctx)
        headers[name] = value.strip()
    return headers


@click.command()
@gateway_flags
@click.argument("route")
@click.argument("unit", required=False)
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", callback=_headers,
    help="a header of the request; may be repeated",
)  # fmt: skip
@click.option("--method", metavar="METHOD", help="its method; GET when not given")
@click.option("--host", metavar="HOST", help="its host")
@click.option("--path", metavar="PATH", help="its path; / when not given")
@click.option("--query", metavar="QUERY", help="its query, as in a=1&b=2")
@click.option("--ip", metavar="ADDRESS", help="the client's address")
@click.option("--model", metavar="MODEL", help="the model that its body names")
def explain(
    gateway: Gateway,
    as_json: bool,
    route: str,
    unit: str | None,
    headers: dict[str, str],
    **facts: str | None,
) -> None:
    """Tell which version a unit or a request gets, and why.

    \b
    graygate explain chat alice
    graygate explain chat --header x-user-id=alice --path /v1/chat/completions
    """
    request = {name: value for name, value in facts.items() if value is not None}
    request |= {f"header.{name}": value for name, value in headers.items()}
    if (unit is None) == (not request):
        raise click.UsageError("name a unit, or describe a request with --header, --path, --ip ...")
    reply = gateway.get("routes", route, "explain", query=request or {"unit": unit or ""})
    if as_json:
        print_json(reply.body)
    else:
        click.echo(_told(reply.read(_Explanation)))


def _told(found: _Explanation) -> str:
    who = "a request without a unit" if found.unit is None else plain(found.unit)
    source = f", from {found.source}" if found.source not in ("", "given") else ""
    rule = f" {plain(found.rule)}" if found.rule else ""
    lines = [f"{who}{source} -> {found.version} ({found.reason}{rule})", ""]
    rows = [("yes" if step.hit else "no", step.reason, step.text) for step in found.steps]
    lines.append(table(("HIT", "REASON", "WHY"), rows))
    if found.percent is not None:
        owned = [
            f"{candidate} has {' and '.join(f'{a:g} to {b:g} %' for a, b in arcs)}"
            for candidate, arcs in found.intervals.items()
        ]
        place = f"Its place is {percent(round(found.percent, 4))}"
        lines += ["", f"{place}; {', '.join(owned) or 'no candidate has a weight'}."]
    return "\n".join(lines)
