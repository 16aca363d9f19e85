"""The chain over what was recorded: each entry's hash covers the entry and the hash before it.

An entry that was altered has another hash, and one that was removed leaves a gap: that is what
`Verifier` finds. It cannot find out that somebody who may write the store wrote a whole chain anew;
for that the newest hash must be kept elsewhere, which is why it is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Before a script that has a chain. `measured` is unambiguous whatever the words are; the entry's
# own id is part of it, so that entries cannot change places.
CHAIN_LUA = """
local function measured(words)
  local out = {}
  for i, word in ipairs(words) do out[i] = #word .. ':' .. word end
  return table.concat(out)
end

local function chain_of(earlier, id, lists, head)
  local parts = {earlier, id, measured(lists), measured(head)}
  return redis.sha1hex(table.concat(parts, '\\n'))
end

local function field_of(entry, name)
  for i = 1, #entry, 2 do
    if entry[i] == name then return entry[i + 1] end
  end
  return ''
end
"""

MOST_FINDINGS = 100


def chain_of(
    earlier: bytes, entry_id: bytes, lists: Sequence[bytes], head: Sequence[bytes]
) -> bytes:
    """The same as `chain_of` of the scripts; `head` without the field `chain` itself."""
    sha = hashlib.sha1(usedforsecurity=False)
    sha.update(b"%b\n%b\n%b\n%b" % (earlier, entry_id, _measured(lists), _measured(head)))
    return sha.hexdigest().encode()


def _measured(words: Sequence[bytes]) -> bytes:
    return b"".join(b"%d:%b" % (len(word), word) for word in words)


@dataclass(slots=True)
class Verifier:
    """Takes the entries of a stream, oldest first, and finds what is not as it was written."""

    most: int  # entries that the stream is trimmed to: with fewer, nothing can be missing in front
    entries: int = 0
    unchained: int = 0  # written before there was a chain
    first: int = 0
    last: int = 0
    chain: str = ""  # of the newest entry
    problems: list[str] = field(default_factory=list)
    _earlier: bytes | None = None
    _lists: tuple[bytes, Sequence[bytes]] | None = None
    _rows: int = 0

    def take(self, rows: Sequence[tuple[bytes, Sequence[bytes]]]) -> None:
        """Some further rows of the stream, as the store tells them."""
        for entry_id, flat in rows:
            self._rows += 1
            number, _, kind = entry_id.partition(b"-")
            if kind == b"0" and self._lists is None:
                self._lists = (number, flat)
            elif kind == b"1":
                self._head(entry_id, int(number), flat)
            else:
                self._find(f"entry {_text(entry_id)} was not written by Graygate")

    def finish(self, newest_ever: int) -> None:
        """After the last row; `newest_ever` is the highest number the stream ever gave out."""
        if self._lists is not None:
            self._find(f"entry {_text(self._lists[0])} lacks its head")
        if self.last < newest_ever:
            self._find(f"what came after {self.last} was removed, up to {newest_ever}")
        if self.first > 1 and self._rows < self.most and not self.unchained:
            self._find(f"what came before {self.first} was removed, and not by trimming")

    def _head(self, entry_id: bytes, number: int, flat: Sequence[bytes]) -> None:
        lists: Sequence[bytes] = ()
        if self._lists is not None:
            owner, lists = self._lists
            self._lists = None
            if owner != b"%d" % number:
                self._find(f"entry {_text(owner)} lacks its head")
                lists = ()
        pairs: Mapping[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
        if self.entries and number != self.last + 1:
            self._find(f"entries between {self.last} and {number} are missing")
        self.entries += 1
        self.first = self.first or number
        self.last = number
        chain = pairs.get(b"chain")
        if chain is None:
            if self._earlier is not None:
                self._find(f"entry {number} has no hash, though the one before it has")
            self.unchained += 1
            return
        earlier = pairs.get(b"prev", b"")
        if self._earlier is not None and earlier != self._earlier:
            self._find(f"entry {number} does not follow the one before it")
        if self._earlier is None and self.unchained and earlier:
            self._find(f"the hash of the entry before {number} was taken out")
        if chain_of(earlier, entry_id, lists, _without_chain(flat)) != chain:
            self._find(f"entry {number} was altered")
        self._earlier = chain
        self.chain = _text(chain)

    def _find(self, what: str) -> None:
        if len(self.problems) < MOST_FINDINGS:
            self.problems.append(what)


def _without_chain(flat: Sequence[bytes]) -> list[bytes]:
    """The head as it was hashed: `chain` is its last field."""
    return list(flat[:-2]) if flat[-2:-1] == [b"chain"] else list(flat)


def _text(word: bytes) -> str:
    return word[:64].decode(errors="replace")
