"""What the doctor makes of what it saw: one finding for each thing that may be wrong. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.cli.doctor_facts import Differing, DiskFacts, GatewayFacts, Processes, StoreFacts
from gateway.state.rights import FOLLOWING, acl_line

LATE_TABLE_SECONDS = 10.0
SKEW_SECONDS = 2.0  # from which on reports and instances are hard to read
BAD_SKEW_SECONDS = 10.0  # and from which on gateways take each other for gone
LAG_SECONDS = 0.1
BAD_LAG_SECONDS = 1.0
MANY_DESCRIPTORS = 0.8
TOO_MANY_DESCRIPTORS = 0.95
LEAST_DESCRIPTORS = 1024
MOST_TOLD = 20  # findings of one kind


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"  # could not be looked at


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: how it is, what that means, and what to do."""

    name: str
    state: State
    text: str
    todo: str = ""


def ok(name: str, text: str) -> Check:
    return Check(name, State.OK, text)


def warn(name: str, text: str, todo: str) -> Check:
    return Check(name, State.WARN, text, todo)


def fail(name: str, text: str, todo: str) -> Check:
    return Check(name, State.FAIL, text, todo)


def unknown(name: str, text: str) -> Check:
    return Check(name, State.UNKNOWN, text)


def checks_of(gateway: GatewayFacts, store: StoreFacts, disk: DiskFacts | None) -> Iterator[Check]:
    """Every check, in the order in which one would look."""
    yield from _gateway(gateway)
    yield from _store(gateway, store)
    yield from _clocks(gateway, store)
    yield from _keys(gateway, store)
    yield from _rights(store)
    yield from _leader(gateway, store)
    yield from _instances(gateway, store)
    yield from _releases(store)
    yield from _drills(store)
    if gateway.picture is not None:
        yield from _endpoints(gateway)
        yield from _workers(gateway)
        if gateway.more.processes is None:
            yield unknown("processes", "this token may not see how the processes are")
        else:
            yield from _processes(gateway.more.processes)
    if disk is not None:
        yield _disk(disk)


def _gateway(facts: GatewayFacts) -> Iterator[Check]:
    if facts.error:
        yield fail(
            "gateway", facts.error, f"{facts.todo or 'start it, or name it with --gateway'}; what "
            "follows is about the store alone",
        )  # fmt: skip
        return
    if facts.not_ready:
        text = f"{facts.url} answers and is not ready: {facts.not_ready}"
        yield fail("gateway", text, "look at /readyz?verbose and at its log")
    else:
        yield ok("gateway", f"{facts.url} answers and is ready")


def _store(gateway: GatewayFacts, store: StoreFacts) -> Iterator[Check]:
    if store.error:
        todo = "see that it runs, and that redis.url and the password are right on this machine"
        yield fail("store", f"from here: {store.error}", todo)
    elif store.role not in ("master", ""):
        text = f"{store.address} is a {store.role}, which takes no writes"
        yield fail("store", text, "point redis.url at the master")
    else:
        yield ok("store", f"{store.address} answers from here, version {store.version}")
    for problem in store.problems:
        yield unknown("store", problem)
    if store.evicts:
        text = f"it throws keys away when it is full (maxmemory-policy {store.evicts})"
        todo = "redis-cli CONFIG SET maxmemory-policy noeviction"
        yield fail("eviction", text, todo)
    if gateway.picture is None:
        return
    seen = gateway.picture.store
    if not seen.connected:
        text = f"the gateway has no store: {seen.error}; it serves the last good table"
        yield fail("watch", text, "bring the store back; nothing else is needed")
    elif seen.watch_mode != "push":
        text = f"changes are looked for now and then only: {seen.watch_note}"
        yield warn("watch", text, "allow CLIENT TRACKING, or live with seconds of delay")
    else:
        yield ok("watch", f"the store at {seen.server} pushes changes")
    yield _table(gateway)


def _table(gateway: GatewayFacts) -> Check:
    assert gateway.picture is not None
    seen, sequence = gateway.picture.store, gateway.picture.sequence
    age = seen.table_age_seconds
    if seen.table_from_disk:
        text = "the table comes from disk and no store has confirmed it"
        return fail("table", text, "bring the store back")
    if age is None:
        return fail("table", "there is no table: requests get 503", "bring the store back")
    if age > LATE_TABLE_SECONDS:
        text = f"table {sequence} last agreed with the store {age:.0f} s ago"
        return warn("table", text, "see what is wrong with the store")
    return ok("table", f"table {sequence} agreed with the store {age:.1f} s ago")


def _clocks(gateway: GatewayFacts, store: StoreFacts) -> Iterator[Check]:
    skews = {"gateway": gateway.skew_seconds, "store": store.skew_seconds}
    known = {name: skew for name, skew in skews.items() if skew is not None}
    if not known:
        yield unknown("clocks", "nobody told the time")
        return
    values = [0.0, *known.values()]
    worst = max(values) - min(values)
    told = ", ".join(f"{name} {skew:+.1f} s" for name, skew in known.items())
    if worst < SKEW_SECONDS:
        yield ok("clocks", f"they agree within {max(worst, 0.1):.1f} s ({', '.join(known)})")
    else:
        judged = fail if worst >= BAD_SKEW_SECONDS else warn
        yield judged("clocks", f"from this machine's clock: {told}", "run NTP on all machines")


def _keys(gateway: GatewayFacts, store: StoreFacts) -> Iterator[Check]:
    refused = gateway.picture.refused if gateway.picture is not None else list(store.refused)
    differs = gateway.more.differs
    for finding in refused[:MOST_TOLD]:
        lines = mending(store.prefix, finding.route, finding.key, differs)
        todo = "; ".join(lines) if lines else "mend it as the text says"
        yield fail("refused", f"{finding.key}: {finding.text}", todo)
    if not refused and not (store.error and gateway.picture is None):
        yield ok("refused", "nothing in the store is refused")
    if gateway.picture is None:
        for key in store.unknown[:MOST_TOLD]:
            yield _unknown_key(key, "this key is not part of the contract and has no effect")
        return
    told = set()
    for doubt in gateway.picture.warnings[:MOST_TOLD]:
        told.add(doubt.key)
        if doubt.reason == "unknown_key":
            yield _unknown_key(doubt.key, doubt.text)
        else:
            yield warn("doubtful", f"{doubt.key}: {doubt.text}", "mend it, or leave it knowingly")
    for key in [key for key in store.unknown if key not in told][:MOST_TOLD]:
        yield _unknown_key(key, "this key is not part of the contract and has no effect")
    if not gateway.picture.warnings and not store.unknown:
        yield ok("keys", "no key is unknown, and none is doubtful")
    unrecorded = gateway.more.store.unrecorded
    if unrecorded:
        text = f"the history does not hold how these stand: {', '.join(unrecorded)}"
        yield warn("history", text, "see leader and rights below; nothing can be rolled back there")
    audit = gateway.more.audit
    if audit.dropped or audit.error:
        text = f"{audit.dropped} refusals were not recorded; {audit.error}".rstrip("; ")
        yield warn("audit", text, "see that the store takes writes")


def _unknown_key(key: str, text: str) -> Check:
    return warn("unknown key", f"{key}: {text}", f"redis-cli DEL {shlex.quote(key)}")


def mending(prefix: str, route: str, key: str, differs: Mapping[str, Differing]) -> list[str]:
    """The lines for redis-cli that bring a refused key back to what is in force."""
    found = differs.get(route)
    if found is None or not found.in_force:
        return []
    lines = []
    for row in found.fields:
        of_part = f"{prefix}route:{route}" + ("" if row.part == "route" else f":{row.part}")
        if of_part != key:
            continue
        name, value = shlex.quote(row.field), shlex.quote(row.in_force or "")
        if not row.field:  # of another type
            back = f"graygate rollback {route} --to {found.revision_in_force}"
            return [f"redis-cli DEL {key}", back]
        if row.part == "rules":
            lines.append(_rule(key, row.field, row.in_force, row.in_store))
        elif row.in_force is None:
            lines.append(f"redis-cli HDEL {key} {name}")
        else:
            lines.append(f"redis-cli HSET {key} {name} {value}")
    return lines


def _rule(key: str, number: str, in_force: str | None, in_store: str | None) -> str:
    if in_force is None:
        return f"redis-cli LREM {key} -1 {shlex.quote(in_store or '')}"
    if in_store is None:
        return f"redis-cli RPUSH {key} {shlex.quote(in_force)}"
    return f"redis-cli LSET {key} {int(number) - 1} {shlex.quote(in_force)}"


def _rights(store: StoreFacts) -> Iterator[Check]:
    rights = store.rights
    user = store.user or "default"
    if rights is None:
        return
    if rights.why_unknown:
        yield unknown("rights", rights.why_unknown)
    elif not rights.denied and rights.has_keys:
        yield ok("rights", f"the user {user} may do all that is needed")
    else:
        purposes = sorted({right.purpose for right in rights.denied})
        keys = [] if rights.has_keys else [f"touch keys under {store.prefix}"]
        commands = [right.name.upper().replace("|", " ") for right in rights.denied]
        text = f"the user {user} may not {', '.join([*keys, *commands])}"
        needed = f" (needed for {', '.join(purposes)})" if purposes else ""
        judged = fail if FOLLOWING in purposes or not rights.has_keys else warn
        yield judged("rights", text + needed, acl_line(store.user, rights, store.prefix))


def _leader(gateway: GatewayFacts, store: StoreFacts) -> Iterator[Check]:
    if not store.error and store.lease_seconds > 0:
        yield ok("leader", f"{store.leader} leads")
    elif gateway.picture is not None and gateway.picture.store.leader:
        yield ok("leader", "this gateway leads")
    elif not store.error or gateway.picture is not None:
        why = gateway.picture.store.leader_note if gateway.picture is not None else ""
        text = "nobody leads: edits made by hand are not recorded, and releases stand still"
        todo = why or "start a gateway whose user may write"
        yield fail("leader", text, todo)


def _instances(gateway: GatewayFacts, store: StoreFacts) -> Iterator[Check]:
    if store.error:
        return
    if not store.instances:
        text = "no gateway shows a sign of life in the store"
        yield warn("instances", text, "see gateway and rights")
        return
    newest: dict[str, int] = {}
    for one in store.instances.values():
        for route, revision in one.revisions.items():
            newest[route] = max(newest.get(route, 0), revision)
    late = {
        name: behind
        for name, one in store.instances.items()
        if (behind := [r for r, n in newest.items() if one.revisions.get(r, 0) < n])
    }
    for name, routes in sorted(late.items()):
        text = f"{name} is behind the newest revision of {', '.join(sorted(routes))}"
        yield warn("instances", text, f"run graygate doctor against {name}")
    versions = sorted({one.version for one in store.instances.values()})
    if len(versions) > 1:
        text = f"gateways of several releases run: {', '.join(versions)}"
        yield warn("instances", text, "bring all to one release when the roll-out is over")
    if not late and len(versions) == 1:
        count = len(store.instances)
        yield ok("instances", f"{count} {'gateway' if count == 1 else 'gateways'}, all agree")


def _releases(store: StoreFacts) -> Iterator[Check]:
    for route, phase in sorted(store.phases.items()):
        if phase == "awaiting-approval":
            todo = f"graygate release approve {route}, or graygate release abort {route}"
            yield warn("release", f"the release of {route} waits for approval", todo)
        elif phase in ("paused", "quarantine"):
            todo = f"graygate release status {route}"
            yield warn("release", f"the release of {route} is in the phase {phase}", todo)


def _drills(store: StoreFacts) -> Iterator[Check]:
    for route, why in sorted(store.drills.items()):
        text = f"no drill of {route} has passed in the time that its plan wants; {why}"
        yield warn("drill", text, f"graygate drill start {route} --wait")


def _endpoints(gateway: GatewayFacts) -> Iterator[Check]:
    assert gateway.picture is not None
    endpoints = gateway.more.endpoints
    down = [one for one in endpoints if one.up_for < 1]
    for one in down[:MOST_TOLD]:
        held = gateway.picture.routes.get(one.route)
        others = [o for o in endpoints if (o.route, o.version) == (one.route, one.version)]
        is_used = held is not None and held.weight(one.version) > 0
        is_last = all(other.up_for == 0 for other in others)
        share = "for all workers" if one.up_for == 0 else f"for {1 - one.up_for:.0%} of the workers"
        text = f"{one.endpoint} of {one.route}/{one.version} is down {share}"
        judged = fail if is_used and is_last else warn
        back = f"; graygate weights set {one.route} {one.version}=0"
        has_way_back = judged is fail and held is not None and one.version != held.stable
        yield judged("endpoint", text, f"see the model{back if has_way_back else ''}")
    if not down:
        yield ok("endpoints", f"{len(endpoints)} that are in use, none is down")


def _workers(gateway: GatewayFacts) -> Iterator[Check]:
    assert gateway.picture is not None
    late = [w.worker for w in gateway.workers if w.sequence != gateway.picture.sequence]
    wanted = gateway.more.processes.wanted_workers if gateway.more.processes else 0
    there = len({worker.worker for worker in gateway.workers})
    if there < wanted or not there:
        yield fail("workers", f"{there} of {wanted or '?'} are there", "look at the log")
    elif late:
        text = f"these do not route by the newest table yet: {', '.join(map(str, late))}"
        yield warn("workers", text, "look again in a moment, then at the log")
    else:
        yield ok("workers", f"{there}, all by the newest table")


def _processes(processes: Processes) -> Iterator[Check]:
    if processes.draining:
        yield warn("processes", "the gateway is about to end", "nothing, if that was meant")
    for role in processes.crash_loop:
        yield fail("processes", f"{role} dies as soon as it starts", "look at the log")
    restarts = {role: n for role, n in processes.restarts.items() if n}
    if restarts:
        told = ", ".join(f"{role} {n}" for role, n in sorted(restarts.items()))
        yield warn("restarts", f"died and were replaced: {told}", "look for the cause in the log")
    if processes.reload_failed:
        text = "the last settings were not taken over"
        yield fail("settings", text, "graygate config check, then SIGHUP")
    shed = {cause: n for cause, n in processes.shed.items() if n}
    if shed:
        told = ", ".join(f"{cause} {n}" for cause, n in sorted(shed.items()))
        text = f"requests were refused to protect the gateway since it started: {told}"
        yield warn("overload", text, "see CPU and memory; more workers or gateways, or the limits")
    else:
        yield ok("overload", "no request was refused to protect the gateway")
    yield from _vitals(processes)


def _vitals(processes: Processes) -> Iterator[Check]:
    is_well = True
    for role, one in processes.each.items():
        share = one.descriptors / one.most_descriptors if one.most_descriptors else 0.0
        if share >= MANY_DESCRIPTORS:
            is_well = False
            text = f"{role} uses {one.descriptors} of {one.most_descriptors}"
            judged = fail if share >= TOO_MANY_DESCRIPTORS else warn
            yield judged("descriptors", text, "raise LimitNOFILE (ulimit -n) and restart")
        elif 0 < one.most_descriptors < LEAST_DESCRIPTORS and role.startswith("worker"):
            is_well = False
            text = f"{role} may have {one.most_descriptors} only; half of them take connections"
            yield warn("descriptors", text, "raise LimitNOFILE (ulimit -n) and restart")
        if one.lag_seconds >= LAG_SECONDS:
            is_well = False
            text = f"the loop of {role} was {one.lag_seconds:.2f} s late of late"
            judged = fail if one.lag_seconds >= BAD_LAG_SECONDS else warn
            yield judged("lag", text, "see whether the machine has processors to spare")
    if is_well and processes.each:
        worst = max(one.lag_seconds for one in processes.each.values())
        yield ok("vitals", f"loops at most {worst * 1000:.0f} ms late, descriptors to spare")


def _disk(disk: DiskFacts) -> Check:
    if not disk.folder:
        text = "no table is kept on disk: without the store a restart serves nothing"
        return warn("last good table", text, "set process.state_dir to a folder that stays")
    if disk.problem is not None:
        text = f"{disk.problem.where} {disk.problem.what}"
        todo = "see that the gateway may write there; it saves with the next change"
        return warn("last good table", text, todo)
    return ok("last good table", f"{disk.folder} holds {disk.routes} routes")
