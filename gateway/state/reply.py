"""Error replies of the store, turned into errors of ours: the only place that reads their words."""

from __future__ import annotations

import re

from gateway.errors import StoreDenied, StoreError, StoreReadOnly, StoreUnavailable

MAX_WORDS = 300

_DENIED = {
    "NOAUTH": "the store asks for a password; set redis.password",
    "WRONGPASS": "the store refuses the user or the password; check redis.username and"
    " redis.password",
}
_READ_ONLY = {
    "READONLY": "the store is a replica and takes no writes; point redis.url at the master",
    "OOM": "the store has reached its maxmemory and takes no writes; raise it or make room",
    "MISCONF": "the store cannot save to disk and takes no writes; free its disk or check its log",
    "NOREPLICAS": "the store has too few replicas and takes no writes; bring the replicas back",
}
_UNAVAILABLE = {
    "LOADING": "the store is still loading its data; wait until it is ready",
    "MASTERDOWN": "the store is a replica that has lost its master; wait for the failover",
    "CLUSTERDOWN": "the Cluster does not serve all slots; look at CLUSTER INFO",
    "TRYAGAIN": "the Cluster is moving our slot; wait until that is done",
    # Not followed: half of our keys are still here, and one reading needs them all together.
    "ASK": "the Cluster is moving our slot; wait until that is done",
    "BUSY": "the store is busy with somebody's script; end it with SCRIPT KILL",
    "UNBLOCKED": "the store changed its role while it answered; wait for the failover",
}
_TOO_MANY = "ERR max number of clients reached"


class Moved(StoreUnavailable):
    """Another node of the Cluster serves our slot: `host` ("" = the same host) and `port`."""

    code = "store_moved"

    def __init__(self, message: str, reply: str, slot: int, host: str, port: int) -> None:
        super().__init__(message, reply)
        self.slot = slot
        self.host = host
        self.port = port


def error_of(reply: str) -> StoreError:
    """The error that an error reply stands for; its message is a sentence and holds no secret."""
    words = _clean(reply)
    kind, _, rest = words.partition(" ")
    if kind in _DENIED:
        return StoreDenied(_DENIED[kind], words)
    if kind == "NOPERM":
        return StoreDenied(
            f"the store denies us a right ({rest}); grant it with ACL SETUSER", words
        )
    if "without any password configured" in words:
        text = "the store has no password for this user; clear redis.password or set one there"
        return StoreDenied(text, words)
    if words.startswith(("ERR invalid password", "ERR Client sent AUTH")):
        return StoreDenied(_DENIED["WRONGPASS"], words)
    if kind in _READ_ONLY:
        return StoreReadOnly(_READ_ONLY[kind], words)
    if kind in _UNAVAILABLE:
        return StoreUnavailable(_UNAVAILABLE[kind], words)
    if words.startswith(_TOO_MANY):
        text = "the store has no room for another client; raise its maxclients"
        return StoreUnavailable(text, words)
    if kind == "MOVED":
        return _moved(words)
    return StoreError(f"the store refuses the command: {words}", words)


def _moved(words: str) -> StoreError:
    match words.split():
        case [_, slot, target] if slot.isdecimal() and target.rpartition(":")[2].isdecimal():
            host, _, port = target.rpartition(":")
            text = f"slot {slot} of the Cluster is served by {target}; connect to that node"
            return Moved(text, words, int(slot), host.strip("[]"), int(port))
    return StoreUnavailable("the Cluster names no node that serves our slot; wait for it", words)


def _clean(reply: str) -> str:
    """One short line; an old server echoes the password when it does not know HELLO or AUTH."""
    line = re.sub(r"[\x00-\x1f\x7f]+", " ", reply).strip()
    return re.split(r",? with args beginning with", line)[0][:MAX_WORDS]
