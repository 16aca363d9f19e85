"""Commands and replies of the store as text, the way redis-cli reads and prints them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.errors import StoreError

Reply = object  # None, bool, int, float, bytes, StoreError, or lists, sets and maps of these

ESCAPES = {0x6E: b"\n", 0x72: b"\r", 0x74: b"\t", 0x62: b"\b", 0x61: b"\a"}
QUOTED = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x08: "\\b", 0x07: "\\a"}
BLANKS = b" \t\r\n\0"

# A status and a string look alike once they are read, and only a string is printed in quotes.
# "QUEUED" is taken for a status, and "OK" unless the command gives out stored data.
STATUSES = (b"OK", b"QUEUED")
READS_DATA = frozenset(
    (
        *("ECHO", "GET", "GETDEL", "GETEX", "GETRANGE", "GETSET", "HGET", "HRANDFIELD", "LINDEX"),
        *("LMOVE", "LPOP", "PING", "RANDOMKEY", "RPOP", "RPOPLPUSH", "SPOP", "SRANDMEMBER"),
        "SUBSTR",
    )
)
TELLS_STATUS = frozenset(("TYPE", "RESET", "BGSAVE", "BGREWRITEAOF", "FAILOVER"))
# Reports for people, many lines each: quotes would spoil them.
REPORTS = frozenset(
    (
        *(("INFO",), ("LOLWUT",), ("CLIENT", "LIST"), ("CLIENT", "INFO"), ("CLUSTER", "NODES")),
        *(("CLUSTER", "INFO"), ("MEMORY", "DOCTOR"), ("MEMORY", "MALLOC-STATS")),
        *(("LATENCY", "DOCTOR"), ("LATENCY", "GRAPH")),
    )
)


def split_line(line: bytes) -> list[bytes]:
    """The words of a line, "quoted\\n" or 'quoted' or bare; ValueError for an open quote."""
    words: list[bytes] = []
    at = 0
    while True:
        while at < len(line) and line[at] in BLANKS:
            at += 1
        if at == len(line):
            return words
        word, at = _word(line, at)
        words.append(word)


def printed(words: Sequence[bytes], reply: Reply) -> bytes:
    """The reply for people, with types and quotes."""
    if isinstance(reply, bytes) and _is_plain(words, reply):
        return reply.rstrip(b"\n") + b"\n"
    return "".join(f"{line}\n" for line in _lines(reply)).encode(errors="replace")


def raw(reply: Reply) -> bytes:
    """The reply for programs: values alone, each on a line of its own."""
    return b"".join(value.removesuffix(b"\n") + b"\n" for value in _values(reply))


def _word(line: bytes, at: int) -> tuple[bytes, int]:
    word = bytearray()
    while at < len(line) and line[at] not in BLANKS:
        if line[at] in b"\"'":
            quoted, at = _quoted(line, at + 1, line[at])
            word += quoted
            # As redis-cli has it: a"b"c is a slip, not three parts of one word.
            if at < len(line) and line[at] not in BLANKS:
                raise ValueError("a closing quote must be followed by a blank")
        else:
            word.append(line[at])
            at += 1
    return bytes(word), at


def _quoted(line: bytes, at: int, quote: int) -> tuple[bytes, int]:
    word = bytearray()
    while at < len(line) and line[at] != quote:
        if line[at] != 0x5C:  # a backslash
            word.append(line[at])
            at += 1
        elif quote == 0x27:  # in single quotes it stands for itself but before another one
            word += b"'" if line[at + 1 : at + 2] == b"'" else b"\\"
            at += 2 if line[at + 1 : at + 2] == b"'" else 1
        else:
            escaped, at = _escaped(line, at + 1)
            word += escaped
    if at >= len(line):
        raise ValueError("a quote is not closed")
    return bytes(word), at + 1


def _escaped(line: bytes, at: int) -> tuple[bytes, int]:
    digits = line[at + 1 : at + 3]
    if line[at : at + 1] == b"x" and len(digits) == 2 and digits.isalnum():
        try:
            return bytes([int(digits, 16)]), at + 3
        except ValueError:
            pass
    if at >= len(line):
        raise ValueError("a quote is not closed")
    return ESCAPES.get(line[at], line[at : at + 1]), at + 1


def _is_plain(words: Sequence[bytes], reply: bytes) -> bool:
    names = [word.decode(errors="replace").upper() for word in words[:2]]
    if names[:1] == ["PING"] and len(words) == 1:
        return True
    if tuple(names[:1]) in REPORTS or tuple(names) in REPORTS or names[0] in TELLS_STATUS:
        return True
    return reply == b"QUEUED" or (reply == b"OK" and names[0] not in READS_DATA)


def _lines(reply: Reply) -> Iterator[str]:
    match _as_list(reply):
        case None:
            yield "(nil)"
        case StoreError() as error:
            yield f"(error) {error.reply or error}"
        case bool(flag):
            yield "(true)" if flag else "(false)"
        case int(number):
            yield f"(integer) {number}"
        case float(number):
            yield f"(double) {number:.17g}"
        case bytes(text):
            yield _quote(text)
        case []:
            yield "(empty array)"
        case list(items):
            width = len(str(len(items)))
            for number, item in enumerate(items, 1):
                # Inside an array (EXEC) nobody tells which command an "OK" belongs to.
                plain = isinstance(item, bytes) and item in STATUSES
                inner = iter([item.decode()]) if plain else _lines(item)
                yield f"{number:>{width}}) {next(inner)}"
                yield from (f"{'':{width}}  {line}" for line in inner)
        case other:
            yield str(other)


def _values(reply: Reply) -> Iterator[bytes]:
    match _as_list(reply):
        case None | []:
            yield b""
        case StoreError() as error:
            yield (error.reply or str(error)).encode()
        case bool(flag):
            yield b"true" if flag else b"false"
        case float(number):
            yield f"{number:.17g}".encode()
        case bytes(text):
            yield text
        case list(items):
            for item in items:
                yield from _values(item)
        case other:
            yield str(other).encode()


def _as_list(reply: Reply) -> Reply:
    """Maps and sets as the lists that they are in RESP2."""
    if isinstance(reply, Mapping):
        return [part for pair in reply.items() for part in pair]
    return list(reply) if isinstance(reply, set | frozenset | tuple) else reply


def _quote(text: bytes) -> str:
    return '"' + "".join(_character(byte) for byte in text) + '"'


def _character(byte: int) -> str:
    if byte in QUOTED:
        return QUOTED[byte]
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
