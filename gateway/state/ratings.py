"""Which version answered which request, and which of them were rated, for a day.

    gray:route:R:answered:BLOCK    HASH    id -> version, of the answers of ten minutes, and
                                           id and "u" -> unit and second of its request, where
                                           it is known
    gray:route:R:rated:ID:FAMILY   STRING  there is a rating of this answer

BLOCK is the unix time divided by 600. An id has eight bytes, whatever the request's own was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from gateway.errors import StoreError
from gateway.state.keys import Keys
from gateway.state.link import Link
from gateway.state.reader import of_other_type
from gateway.state.wire import Argument

BLOCK_SECONDS = 600
KEPT_SECONDS = 86_400
_FIELDS_AT_ONCE = 1000
_UNIT = b"u"  # behind an id
_BLOCKS_AT_ONCE = 12  # most ratings come within two hours

Words = tuple[Argument, ...]


class Ratings:
    """Remembers answers, finds them again, and takes each rating once."""

    def __init__(self, link: Callable[[], Awaitable[Link]], keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def __repr__(self) -> str:
        return f"<Ratings below {self._keys.prefix}>"

    async def remember(self, now: float, answers: Mapping[str, Mapping[bytes, str]]) -> None:
        """By route, id -> version, and behind a space unit and second in hex digits, if known.

        Raises StoreError; to say it again does no harm.
        """
        commands: list[Words] = []
        for route, versions in answers.items():
            key = self._keys.answered(route, int(now) // BLOCK_SECONDS)
            pairs = list(versions.items())
            for at in range(0, len(pairs), _FIELDS_AT_ONCE):
                words: list[Argument] = []
                for one, told in pairs[at : at + _FIELDS_AT_ONCE]:
                    version, _, unit = told.partition(" ")
                    words += (one, version)
                    if unit:  # apart, since gateways of older releases know nothing of it
                        words += (one + _UNIT, bytes.fromhex(unit))
                commands.append(("HSET", key, *words))
            commands.append(("EXPIRE", key, KEPT_SECONDS + BLOCK_SECONDS))
        if commands:
            replies = await (await self._link()).pipeline(commands)
            for command, reply in zip(commands, replies, strict=True):
                if isinstance(reply, StoreError):
                    raise of_other_type(reply, str(command[1]), "hash")

    async def find(self, route: str, ids: Sequence[bytes], now: float) -> dict[bytes, str]:
        """As `remember` was told, of those that are known; of an id that came twice, the newest."""
        found: dict[bytes, str] = {}
        link = await self._link()
        for keys in self._blocks(route, now):
            missing = [one for one in ids if one not in found]
            if not missing:
                break
            fields = [*missing, *(one + _UNIT for one in missing)]
            replies = await link.pipeline([("HMGET", key, *fields) for key in keys])
            for key, reply in zip(keys, replies, strict=True):
                if isinstance(reply, StoreError):
                    raise of_other_type(reply, key, "hash")
                values = _list(reply)
                units = values[len(missing) :]
                for one, version, unit in zip(missing, values, units, strict=False):
                    if isinstance(version, bytes):
                        told = version.decode(errors="replace")
                        known = f"{told} {unit.hex()}" if isinstance(unit, bytes) else told
                        found.setdefault(one, known)
        return found

    async def take(self, route: str, ratings: Sequence[tuple[bytes, str]]) -> list[bool]:
        """Whether each of these (id, family) is the first of its kind; from now on none is."""
        if not ratings:
            return []
        commands: list[Words] = [
            ("SET", self._keys.rated(route, one.hex(), family), 1, "NX", "EX", KEPT_SECONDS)
            for one, family in ratings
        ]
        replies = await (await self._link()).pipeline(commands)
        for reply in replies:
            if isinstance(reply, StoreError):
                raise reply
        return [reply is not None for reply in replies]

    def _blocks(self, route: str, now: float) -> Iterator[list[str]]:
        """Keys of all blocks of a day, the newest first, some at a time."""
        newest = int(now) // BLOCK_SECONDS
        blocks = range(newest, newest - KEPT_SECONDS // BLOCK_SECONDS - 1, -1)
        for at in range(0, len(blocks), _BLOCKS_AT_ONCE):
            some = blocks[at : at + _BLOCKS_AT_ONCE]
            yield [self._keys.answered(route, block) for block in some]


def _list(reply: object) -> list[object]:
    return reply if isinstance(reply, list) else []
