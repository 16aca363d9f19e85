"""`graygate events`: what happens, as it happens."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

import click
import msgspec

from gateway.cli.client import Gateway
from gateway.cli.exits import ExitCode
from gateway.cli.gateway_flags import gateway_flags
from gateway.cli.shown import local_time, plain
from gateway.cli.streaming import lines_of
from gateway.errors import GatewayUnreachable, GraygateError

AGAIN_SECONDS = 1.0  # between attempts to listen again
PATIENCE_SECONDS = 60.0  # with a gateway that is away

_COLOURS: Mapping[str, str] = {
    **dict.fromkeys(("refused", "alarm", "endpoint_down", "store_away", "dropped"), "red"),
    **dict.fromkeys(("warning", "gap", "draining", "instance_left", "ended"), "yellow"),
    **dict.fromkeys(("refused_over", "alarm_over", "endpoint_up", "store_connected"), "green"),
}
# The connection's own; people see them only when they matter.
_QUIET = frozenset({"hello"})


class Told(msgspec.Struct):
    """One event as it came; `content` is its JSON object."""

    kind: str
    content: dict[str, object]
    id: str = ""


@click.command()
@gateway_flags
@click.option("--route", metavar="ROUTE", help="only what concerns this route")
@click.option("--since", metavar="ID", default="", help="first what happened after this event")
@click.option("--once", is_flag=True, help="end when there is nothing more to catch up with")
def events(gateway: Gateway, as_json: bool, route: str | None, since: str, once: bool) -> ExitCode:
    """Print what happens: changes, refusals, gateways, endpoints, alarms.

    Ctrl-C ends it. When the connection breaks it is made again, and what was missed is told.
    """
    if route is not None:
        gateway.get("routes", route)  # says when there is none
    last_id = since
    while True:
        ending = None
        try:
            for told in listen(gateway, last_id, is_following=not once):
                last_id = told.id or last_id
                ending = told.kind
                if route is None or told.content.get("route") in (route, None):
                    _show(told, as_json)
        except GatewayUnreachable:
            if not last_id and ending is None:
                raise
        if once:
            return ExitCode.OK
        if ending == "ended" and not _is_back(gateway):
            raise GatewayUnreachable(f"The gateway at {gateway.url} has gone.")
        time.sleep(AGAIN_SECONDS)


def listen(gateway: Gateway, last_id: str = "", *, is_following: bool = True) -> Iterator[Told]:
    """The events of one connection, until it ends."""
    lines = lines_of(
        gateway, "events", takes="text/event-stream",
        query=None if is_following else {"follow": "no"},
        headers={"Last-Event-ID": last_id} if last_id else None,
    )  # fmt: skip
    return read_events(lines)


def read_events(lines: Iterable[bytes]) -> Iterator[Told]:
    """Lines of text/event-stream, taken apart as far as the gateway uses that."""
    kind = event_id = ""
    for line in lines:
        name, _, value = line.decode(errors="replace").rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "id":
            event_id = value
        elif name == "data":
            try:
                yield Told(kind, msgspec.json.decode(value, type=dict[str, object]), event_id)
            except msgspec.DecodeError:
                raise GraygateError(
                    "The gateway sends events that this command does not know; "
                    "use the graygate of the gateway's own version."
                ) from None
            kind = event_id = ""


def _is_back(gateway: Gateway) -> bool:
    """Whether it answers again within a while."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        try:
            gateway.probe("healthz")
            return True
        except GatewayUnreachable:
            time.sleep(AGAIN_SECONDS)
    return False


def _show(told: Told, as_json: bool) -> None:
    if as_json:
        line = {"event": told.kind, "id": told.id, **told.content}
        click.echo(msgspec.json.encode(line))
    elif told.kind not in _QUIET:
        click.echo(sentence(told))


def sentence(told: Told) -> str:
    """When, what, of which route, and the rest in a few words; one line."""
    content = dict(told.content)
    at_ms = content.pop("at_ms", 0)
    when = local_time(at_ms if isinstance(at_ms, int) else 0)
    kind = click.style(told.kind, fg=_COLOURS.get(told.kind))
    parts = [when, kind]
    if route := content.pop("route", ""):
        parts.append(plain(str(route)))
    return "  ".join([*parts, _rest(told.kind, content)]).rstrip()


def _rest(kind: str, content: Mapping[str, object]) -> str:
    if kind in ("route_changed", "route_deleted"):
        by = f" by {content['by']}" if content.get("by") else ""
        via = f" ({content['via']})" if content.get("via") not in (None, "", "redis") else ""
        why = f": {content['why']}" if content.get("why") else ""
        lists = f"; {content['lists']}" if content.get("lists") else ""
        return plain(f"revision {content.get('revision', '?')}{by}{via}{why}{lists}")
    key = f"{content['key']}: " if content.get("key") else ""
    if "text" in content:
        about = " ".join(str(content[n]) for n in ("alarm", "about") if content.get(n))
        return plain(f"{about + ': ' if about else ''}{key}{content['text']}")
    return plain(" ".join(str(value) for value in content.values() if value != ""))
