"""`graygate get`: the routes in force, what was refused, and how store and workers are."""

from __future__ import annotations

from collections.abc import Iterable

import click

from gateway.cli.client import Gateway
from gateway.cli.exits import ExitCode
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.picture import Finding, Picture, Route
from gateway.cli.reach import no_routes
from gateway.cli.shown import count, local_time, percent, plain, print_json, table


@click.command()
@gateway_flags
@click.argument("route", required=False)
def get(gateway: Gateway, as_json: bool, route: str | None) -> ExitCode:
    """Show the routes in force, or one of them in detail."""
    if as_json:
        print_json(gateway.get(*(["state"] if route is None else ["routes", route])).body)
        return ExitCode.OK
    picture = gateway.get("state").read(Picture)
    if route is not None:
        return _show_one(gateway, picture, route)
    click.echo(_overview(picture) if picture.routes else no_routes(gateway))
    _tell_findings(picture.refused, picture.warnings)
    click.echo(_health(picture))
    return ExitCode.OK


def _show_one(gateway: Gateway, picture: Picture, route: str) -> ExitCode:
    refused = [finding for finding in picture.refused if finding.route == route]
    if route in picture.routes:
        click.echo(_details(route, picture.routes[route]))
    elif not refused:
        gateway.get("routes", route)  # says that there is none, and which there are
    else:
        click.echo(f"Route {plain(route)} is not in force.")
    _tell_findings(refused, [doubt for doubt in picture.warnings if doubt.route == route])
    return ExitCode.OK if route in picture.routes else ExitCode.FAILED


def _overview(picture: Picture) -> str:
    rows = [
        (name, f"{held.stable} {percent(held.weight(held.stable))}", _weights(held),
         str(held.revision), _list_sizes(held))
        for name, held in sorted(picture.routes.items())
    ]  # fmt: skip
    return table(("ROUTE", "STABLE", "WEIGHTS", "REVISION", "LISTS"), rows)


def _weights(held: Route) -> str:
    weights = [f"{name} {percent(held.weights[name])}" for name in held.weights]
    paused = "paused: " if held.paused and weights else "paused" if held.paused else ""
    return paused + ", ".join(weights) or "-"


def _list_sizes(held: Route) -> str:
    return (
        ", ".join(f"{n.replace('/', ' ')}: {size}" for n, size in held.lists.items() if size) or "-"
    )


def _details(name: str, held: Route) -> str:
    versions = table(
        ("VERSION", "UNITS", "WHITELIST", "URLS"),
        (
            (
                f"{version} (stable)" if version == held.stable else version,
                percent(held.weight(version)),
                str(held.lists.get(f"whitelist/{version}", 0)),
                " ".join(known.urls),
            )
            for version, known in held.versions.items()
        ),
    )
    facts = [
        ("blacklist", count(held.lists.get("blacklist", 0), "id", "ids")),
        ("unit", ", ".join(held.unit)),
        ("salt", held.salt),
        ("hosts", ", ".join(held.match.hosts) or "any"),
        ("paths", ", ".join(held.match.paths) or "any"),
        ("models", ", ".join(held.match.models) or "any"),
        ("methods", ", ".join(held.match.methods) or "any"),
        *((field, _option(value)) for field, value in held.options.items()),
        *((f"rule {number}", bytes(rule).decode()) for number, rule in enumerate(held.rules)),
    ]
    paused = ", paused" if held.paused else ""
    head = f"{plain(name)}{paused}, revision {held.revision} of {local_time(held.changed_at_ms)}"
    return "\n".join([head, "", versions, "", table(("", ""), facts).lstrip("\n")])


def _option(value: bool | int | float | str | None) -> str:
    """As it would be typed into the store; a dash where the gateway's own setting holds."""
    if isinstance(value, bool):
        return str(int(value))
    return "-" if value is None or value == "" else str(value)


def _tell_findings(refused: Iterable[Finding], warnings: Iterable[Finding]) -> None:
    for word, colour, findings in (("refused", "red", refused), ("warning", "yellow", warnings)):
        for finding in findings:
            told = f"{plain(finding.key)}: {plain(finding.text)}"
            click.echo(f"{click.style(word, fg=colour)}  {told}")


def _health(picture: Picture) -> str:
    store = picture.store
    age = store.table_age_seconds
    parts = [
        f"store {store.server} connected ({store.watch_mode})"
        if store.connected
        else f"store away ({store.error or 'not connected yet'}), the last good table stays",
        f"table {picture.sequence}{' from disk' if store.table_from_disk else ''}"
        + (f", {age:.1f} s old" if age is not None else ""),
        _workers(picture),
        *(["this gateway leads"] if store.leader else []),
        *([store.leader_note] if store.connected and store.leader_note else []),
    ]
    note = f" ({store.watch_note})" if store.connected and store.watch_note else ""
    return plain("; ".join(parts) + note)


def _workers(picture: Picture) -> str:
    late = sum(worker.sequence != picture.sequence for worker in picture.workers)
    state = f", {late} behind" if late else ", all current" if picture.workers else ""
    return count(len(picture.workers), "worker", "workers") + state
