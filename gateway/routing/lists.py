"""Who is on a list: membership of ids, from ten to millions.

A small list is a plain `frozenset[bytes]` and exact. A large one is a `PackedTable`: an
open-addressing hash table of 64-bit hashes in one flat buffer, so that the same bytes can be built
in one process, lie in a file, and be mapped by all the others. A million ids take 16 MiB once,
instead of 78 MB in every process. What is paid: a stranger is taken for a member with a
probability of 5e-14 at a million ids.

Layout, in native 64-bit words: magic, format, count of ids, digest, four spare words, then a power
of two of slots. A hash belongs into the slot named by its low bits, or the next free one after it;
a zero word is a free slot, and the hash 0 is kept as 1. At most half of the slots are taken.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import islice
from mmap import mmap
from typing import Protocol

from xxhash import xxh3_64_intdigest

_MAGIC = int.from_bytes(b"GRAYLIST", "big")  # read on a machine of the other byte order: no match
_FORMAT = 1
_HEADER_WORDS = 8
_WORD_BYTES = 8
_WORD_MASK = 2**64 - 1
_LEAST_SLOTS = 1024

# What one added id pays towards emptying the table that became too small. Two would just do: the
# old table must be empty before the new one, twice as large, is full.
_SLOTS_MOVED_PER_ID = 4

_SLOTS_COPIED = 65_536  # at once: half a megabyte


class MappedBytes(Protocol):
    """Anything that lends its bytes: bytes, bytearray, memoryview, mmap."""

    def __len__(self) -> int: ...

    def __buffer__(self, flags: int, /) -> memoryview: ...


def whitelist_name(route: str, version: str) -> str:
    return f"route/{route}/whitelist/{version}"


def blacklist_name(route: str) -> str:
    return f"route/{route}/blacklist"


def segment_name(segment: str) -> str:
    return f"segment/{segment}"


def list_in_words(name: str) -> str:
    """The list that processes know as `name`, as people call it."""
    match name.split("/"):
        case ["route", route, "whitelist", version]:
            return f"the whitelist of {version} of {route}"
        case ["route", route, "blacklist"]:
            return f"the blacklist of {route}"
        case ["segment", segment]:
            return f"the segment {segment}"
    return name


def digest(ids: Iterable[bytes]) -> int:
    """A number that depends on which ids these are, not on their order; each id once."""
    return sum(xxh3_64_intdigest(unit) or 1 for unit in ids) & _WORD_MASK


class PackedTable:
    """A large, finished list over a buffer that somebody else may own, such as a mapped file.

    The table keeps the buffer exported for as long as it lives.
    """

    __slots__ = ("_mask", "_slots", "_words", "digest")

    def __init__(self, buffer: MappedBytes) -> None:
        """Checks the header; raises ValueError when these bytes are no table."""
        data = memoryview(buffer)
        if data.nbytes % _WORD_BYTES or data.nbytes < (_HEADER_WORDS + 1) * _WORD_BYTES:
            raise ValueError(f"A packed list cannot be {data.nbytes} bytes long; build it again.")
        words = data.cast("B").cast("Q")
        if words[0] != _MAGIC or words[1] != _FORMAT:
            raise ValueError(
                "These bytes are not a packed list of this version and machine; build it again."
            )
        slots = words[_HEADER_WORDS:]
        # A free slot must exist, or looking for a stranger would never end.
        if len(slots) & (len(slots) - 1) or words[2] * 2 > len(slots) or 0 not in slots:
            raise ValueError("The packed list is damaged or was cut short; build it again.")
        self._words = words
        self._slots = slots
        self._mask = len(slots) - 1
        self.digest: int = words[3]

    def __contains__(self, unit: object) -> bool:
        wanted = xxh3_64_intdigest(unit) or 1  # type: ignore[arg-type]  # ids are always bytes
        slots = self._slots
        mask = self._mask
        slot = wanted & mask
        while held := slots[slot]:
            if held == wanted:
                return True
            slot = (slot + 1) & mask
        return False

    def __len__(self) -> int:
        return self._words[2]

    def __repr__(self) -> str:
        return f"<PackedTable of {len(self)} ids in {self._words.nbytes} bytes>"

    @property
    def slots(self) -> memoryview[int]:
        """The hashes, and zeros between them; read-only by agreement."""
        return self._slots

    @property
    def buffer(self) -> memoryview:
        """The bytes to write into a file; read-only."""
        return self._words.cast("B").toreadonly()


class TableBuilder:
    """Builds a `PackedTable` in slices, so that whoever builds can do other things in between.

    When more ids come than were expected, a table twice as large takes over and the old one is
    emptied by and by. `settle` does that in slices after the last `add`; `finish` does the rest.
    It may go on from a finished table, which stays as it is: one of the same size is copied.
    """

    __slots__ = (
        "_capacity", "_count", "_is_copying", "_mask", "_moved", "_old", "_slots", "_sum", "_words",
    )  # fmt: skip

    def __init__(self, expected: int, start: PackedTable | None = None) -> None:
        self._count = 0  # while an old table is being emptied, ids in both are counted twice
        self._sum = 0
        self._old = memoryview(b"").cast("Q")
        self._moved = 0  # slots of the old table that are done with
        self._is_copying = False
        if start is not None:
            expected = max(expected, len(start))
            self._count, self._sum, self._old = len(start), start.digest, start.slots
        self._allocate(max(_LEAST_SLOTS, 1 << (2 * expected - 1).bit_length()))
        self._is_copying = len(self._old) == len(self._slots)

    def add(self, ids: Iterable[bytes]) -> None:
        """Takes a slice of ids, about a thousand; an id that is known already changes nothing."""
        self._end_copying()
        rest = iter(ids)
        while part := list(islice(rest, self._capacity - self._count or 1)):
            if self._count == self._capacity:
                self._grow()
            self._insert([xxh3_64_intdigest(unit) or 1 for unit in part])
            self.settle(_SLOTS_MOVED_PER_ID * len(part))

    def discard(self, ids: Iterable[bytes]) -> None:
        """Takes a slice of ids off again; one that is not there changes nothing."""
        while not self.settle():
            pass
        gone = [h for unit in ids if self._take_out(h := xxh3_64_intdigest(unit) or 1)]
        self._count -= len(gone)
        self._sum = (self._sum - sum(gone)) & _WORD_MASK

    def settle(self, slots: int = 10_000) -> bool:
        """Does a slice of the emptying of an outgrown table; True when nothing is left to do."""
        old = self._old
        if not old:
            return True
        if self._is_copying:
            return self._copy()
        part = [held for held in old[self._moved : self._moved + slots].tolist() if held]
        self._count -= len(part)
        self._sum -= sum(part)
        self._insert(part)
        self._moved += slots
        if self._moved < len(old):
            return False
        self._old = memoryview(b"").cast("Q")
        return True

    def finish(self) -> PackedTable:
        """The finished table; the builder must not be used after it."""
        while not self.settle():
            pass
        words = self._words
        words[0], words[1], words[2], words[3] = _MAGIC, _FORMAT, self._count, self._sum
        return PackedTable(words)

    def _insert(self, hashes: list[int]) -> None:
        slots = self._slots
        mask = self._mask
        added: list[int] = []
        for wanted in hashes:
            slot = wanted & mask
            while (held := slots[slot]) and held != wanted:
                slot = (slot + 1) & mask
            if not held:
                slots[slot] = wanted
                added.append(wanted)
        self._count += len(added)
        self._sum = (self._sum + sum(added)) & _WORD_MASK

    def _take_out(self, wanted: int) -> bool:
        """Frees the slot, and moves up what stands behind it and would not be found any more."""
        slots = self._slots
        mask = self._mask
        free = wanted & mask
        while (held := slots[free]) != wanted:
            if not held:
                return False
            free = (free + 1) & mask
        slot = free
        while held := slots[slot := (slot + 1) & mask]:
            if (slot - held) & mask >= (slot - free) & mask:
                slots[free] = held
                free = slot
        slots[free] = 0
        return True

    def _copy(self) -> bool:
        first, beyond = self._moved, self._moved + _SLOTS_COPIED
        self._slots[first:beyond] = self._old[first:beyond]
        self._moved = beyond
        if beyond < len(self._old):
            return False
        self._old = memoryview(b"").cast("Q")
        self._is_copying = False
        return True

    def _end_copying(self) -> None:
        while self._is_copying:
            self._copy()

    def _grow(self) -> None:
        while not self.settle():
            pass  # never long, but for a start that was much too large for what is in it
        self._old = self._slots
        self._moved = 0
        self._allocate(2 * len(self._slots))

    def _allocate(self, slots: int) -> None:
        # Anonymous pages are zeroed one by one when first touched; a bytearray is zeroed at once,
        # which at 16 MiB is a stall of 12 to 48 ms.
        self._words = memoryview(mmap(-1, (_HEADER_WORDS + slots) * _WORD_BYTES)).cast("Q")
        self._slots = self._words[_HEADER_WORDS:]
        self._mask = slots - 1
        self._capacity = slots // 2


class OverlaidTable:
    """A list together with the few ids that were added or removed since it was made."""

    __slots__ = ("_added", "_base", "_removed")

    def __init__(
        self, base: Container[bytes], added: frozenset[bytes], removed: frozenset[bytes]
    ) -> None:
        self._base = base
        self._added = added
        self._removed = removed

    def __contains__(self, unit: object) -> bool:
        return unit in self._added or (unit in self._base and unit not in self._removed)

    def __repr__(self) -> str:
        return f"<{self._base!r}, {len(self._added)} added, {len(self._removed)} removed>"
