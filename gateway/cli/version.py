"""`graygate version`: the registry of the versions of a route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from gateway.cli.client import Gateway, Reply
from gateway.cli.consent import ask, require_somebody_to_ask
from gateway.cli.gateway_flags import gateway_flags, revision_flag, why_flag, yes_flag
from gateway.cli.picture import Written
from gateway.cli.shown import percent, plain, print_json, table

R = TypeVar("R")


class _Version(msgspec.Struct):
    urls: list[str]
    rewrite_model: str
    meta: dict[str, Any]
    state: str
    is_stable: bool
    weight: float
    used_by: list[str]


@click.group()
def version() -> None:
    """Keep the registry of the versions of a route."""


def _notes(command: Callable[..., R]) -> Callable[..., R]:
    for flag, text in (
        ("--model-id", "what the model is called where it comes from"),
        ("--digest", "digest of the artefact that is deployed, as in sha256:..."),
        ("--note", "a remark for people"),
        ("--rewrite-model", 'put into the "model" of each request body for this version'),
    ):
        command = click.option(flag, metavar="TEXT", help=text)(command)
    command = click.option(
        "--score", "scores", multiple=True, metavar="NAME=NUMBER", help="a result of an evaluation"
    )(command)
    return click.option(
        "--meta", "notes", multiple=True, metavar="NAME=TEXT", help="any other note; empty = none"
    )(command)


@version.command()
@gateway_flags
@why_flag
@revision_flag
@_notes
@click.argument("route")
@click.argument("version")
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
def add(
    gateway: Gateway, as_json: bool, why: str, revision: int | None,
    route: str, version: str, urls: tuple[str, ...], **said: Any,
) -> None:  # fmt: skip
    """Add a version; it gets no traffic before it is given some.

    \b
    graygate version add chat v3 http://10.0.0.3:8000 --digest sha256:1f2e --score mmlu=0.71
    """
    content: dict[str, object] = {"name": version, "urls": list(urls), "why": why}
    content.update(_said(said))
    reply = gateway.call("POST", "routes", route, "versions", content=content, revision=revision)
    _say(reply, as_json, f"{route} {version}: added", f"{route} {version}: as before")


@version.command("set")
@gateway_flags
@why_flag
@revision_flag
@_notes
@click.argument("route")
@click.argument("version")
@click.argument("urls", nargs=-1, metavar="[URL]...")
def change(
    gateway: Gateway, as_json: bool, why: str, revision: int | None,
    route: str, version: str, urls: tuple[str, ...], **said: Any,
) -> None:  # fmt: skip
    """Change where a version answers, or what is noted about it; the rest stays."""
    content = _said(said)
    if urls:
        content["urls"] = list(urls)
    if not content:
        raise click.UsageError("name URLs, or a note to change with a flag")
    path = ("routes", route, "versions", version)
    reply = gateway.call("PATCH", *path, content={**content, "why": why}, revision=revision)
    _say(reply, as_json, f"{route} {version}: changed", f"{route} {version}: as before")


@version.command("list")
@gateway_flags
@click.argument("route")
def list_versions(gateway: Gateway, as_json: bool, route: str) -> None:
    """List the versions of a route, the retired ones too."""
    reply = gateway.get("routes", route, "versions")
    if as_json:
        print_json(reply.body)
        return
    rows = [
        (name, _role(one), percent(one.weight), " ".join(one.urls), str(one.meta.get("notes", "")))
        for name, one in reply.read(dict[str, _Version]).items()
    ]
    click.echo(table(("VERSION", "STATE", "WEIGHT", "URLS", "NOTES"), rows))


@version.command()
@gateway_flags
@click.argument("route")
@click.argument("version")
def show(gateway: Gateway, as_json: bool, route: str, version: str) -> None:
    """Show all that is known of a version."""
    reply = gateway.get("routes", route, "versions", version)
    if as_json:
        print_json(reply.body)
        return
    one = reply.read(_Version)
    lines = [("state", _role(one)), ("weight", percent(one.weight))]
    lines += [("url", url) for url in one.urls]
    if one.rewrite_model:
        lines.append(("rewrite_model", one.rewrite_model))
    lines += [(name, _text(value)) for name, value in sorted(one.meta.items())]
    lines += [("used by", used) for used in one.used_by]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(f"{plain(name).ljust(width)}  {plain(value)}")


@version.command()
@gateway_flags
@why_flag
@revision_flag
@click.argument("route")
@click.argument("version")
def retire(
    gateway: Gateway, as_json: bool, why: str, revision: int | None, route: str, version: str
) -> None:
    """Take a version that nothing uses out of traffic; it stays in the registry."""
    path = ("routes", route, "versions", version, "retire")
    reply = gateway.call("POST", *path, content={"why": why}, revision=revision)
    _say(reply, as_json, f"{route} {version}: retired", f"{route} {version}: retired before")


@version.command()
@gateway_flags
@why_flag
@revision_flag
@click.argument("route")
@click.argument("version")
def restore(
    gateway: Gateway, as_json: bool, why: str, revision: int | None, route: str, version: str
) -> None:
    """Bring a retired version back; it gets traffic once it is given some."""
    path = ("routes", route, "versions", version, "restore")
    reply = gateway.call("POST", *path, content={"why": why}, revision=revision)
    _say(reply, as_json, f"{route} {version}: brought back", f"{route} {version}: active before")


@version.command()
@gateway_flags
@why_flag
@revision_flag
@yes_flag
@click.argument("route")
@click.argument("version")
def remove(
    gateway: Gateway, as_json: bool, why: str, revision: int | None, is_sure: bool,
    route: str, version: str,
) -> None:  # fmt: skip
    """Remove a version that nothing uses; what it was stays in the history."""
    require_somebody_to_ask(is_sure)
    if not is_sure:
        ask(f"Remove version {version} of {route} from the registry?")
    query = {"why": why} if why else None
    path = ("routes", route, "versions", version)
    reply = gateway.call("DELETE", *path, query=query, revision=revision)
    _say(reply, as_json, f"{route} {version}: removed", f"{route} {version}: was not there")


def _said(said: dict[str, Any]) -> dict[str, object]:
    """What the flags say, as the API takes it."""
    meta: dict[str, object] = {
        name: value or None for name, value in _pairs(said["notes"], "TEXT").items()
    }
    for flag, name in (("model_id", "model_id"), ("digest", "digest"), ("note", "notes")):
        if said[flag] is not None:
            meta[name] = said[flag] or None
    if said["scores"]:
        meta["scores"] = {
            name: _number(name, text) for name, text in _pairs(said["scores"], "NUMBER").items()
        }
    content: dict[str, object] = {"meta": meta} if meta else {}
    if said["rewrite_model"] is not None:
        content["rewrite_model"] = said["rewrite_model"]
    return content


def _pairs(given: tuple[str, ...], kind: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{text[:64]!a} is no note: write NAME={kind}")
        pairs[name] = value
    return pairs


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number != number or abs(number) == float("inf"):
        raise click.UsageError(f"the score {name} is no number: {text[:64]!a}")
    return number


def _role(one: _Version) -> str:
    return "stable" if one.is_stable else one.state


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _say(reply: Reply, as_json: bool, done: str, before: str) -> None:
    if as_json:
        print_json(reply.body)
        return
    written = reply.read(Written)
    if written.changed:
        click.echo(f"{done}; revision {written.revision}.")
    else:
        click.echo(f"{before}; revision {written.revision} stays.")
