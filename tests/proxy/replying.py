"""Models that do what a walk says, and remember what they were asked and what they answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.proxy.message import Request
from tests.proxy.model import Model, ModelLink
from tests.proxy.walks import End, Framed, Reply

ECHO = "X-Echo"
_BODILESS = (204, 304)


@dataclass
class Asked:
    """One request as a model got it, and what it was answered."""

    number: int
    caller: str  # its address
    method: str
    target: str
    starts: int  # where in the bytes of its connection
    link: ModelLink
    reply: Reply
    body: bytes | None = None  # None = it did not come to its end
    ends: int = -1
    answered: bytes | None = None  # the body of an answer that was completed
    tunnelled: bytes = b""


async def turns(count: int) -> None:
    """Lets the loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


class Replying:
    """The script of all models of one walk."""

    def __init__(self, replies: tuple[Reply, ...]) -> None:
        self.replies = replies
        self.asked: list[Asked] = []

    async def __call__(self, link: ModelLink, request: Request) -> None:
        number = len(self.asked)
        reply = self.replies[number % len(self.replies)]
        address = request.all("X-Forwarded-For")[-1].rpartition(",")[2].strip()
        starts = link.taken - len(request.head)
        asked = Asked(number, address, request.method, request.target, starts, link, reply)
        self.asked.append(asked)
        if not reply.is_early:
            await self._read(asked, request)
        await self._answer(asked, reply)
        if asked.body is None:
            await self._read(asked, request)
        self._end(link, reply.end)
        is_over = reply.end is not End.STAY or reply.cut < 100
        if is_over or reply.framed in (Framed.CLOSE, Framed.OLD, Framed.GARBAGE, Framed.SWITCHED):
            await link.when(lambda: link.ending is not None, "the end of the connection", None)
            link.close()

    async def _read(self, asked: Asked, request: Request) -> None:
        asked.body = await asked.link.body(request)
        asked.ends = asked.link.taken

    async def _answer(self, asked: Asked, reply: Reply) -> None:
        heads, pieces, body = written(asked, reply)
        whole = heads + b"".join(pieces)
        most = len(whole) * reply.cut // 100
        left = most
        for piece in [heads, *pieces]:
            piece = piece[: max(left, 0)]
            left -= len(piece)
            if piece is not heads and reply.pauses:
                await turns(reply.pauses)
            asked.link.send(piece + (reply.extra if left == 0 and most == len(whole) else b""))
        if reply.framed is Framed.SWITCHED:
            asked.tunnelled = whole[len(heads) : most] + reply.extra
        elif (
            reply.framed is Framed.GARBAGE
            or most < len(heads)
            or (reply.framed is Framed.TWICE and reply.status not in _BODILESS)
        ):
            return
        elif pieces and reply.framed in (Framed.CLOSE, Framed.OLD):
            if reply.end in (End.CLOSE, End.HALF):
                asked.answered = whole[len(heads) : most]
        elif most == len(whole):
            asked.answered = body

    def _end(self, link: ModelLink, end: End) -> None:
        if end is End.CLOSE:
            link.close()
        elif end is End.RESET:
            link.reset()
        elif end is End.HALF and not link.transport.is_closing():
            link.finish()


def written(asked: Asked, reply: Reply) -> tuple[bytes, list[bytes], bytes]:
    """All heads of an answer, the pieces of its body as sent, and what they say."""
    echo = f"{ECHO}: {asked.number}\r\n".encode()
    interim = b"".join(b"HTTP/1.1 %d Wait\r\n%b\r\n" % (one, echo) for one in reply.interim)
    if reply.framed is Framed.GARBAGE:
        return interim, [b"\x16\x03\x01 no HTTP\r\n\r\n"], b""
    if reply.framed is Framed.SWITCHED:
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        head = b"HTTP/1.1 101 Switching\r\n" + echo + upgrade
        return interim + head, [b"t" * size for size in reply.sizes], b""
    has_body = asked.method != "HEAD" and reply.status not in _BODILESS
    parts = [(b"%d," % asked.number * size)[:size] for size in reply.sizes if size]
    head = b"HTTP/1.%d %d Said\r\n" % (reply.framed is not Framed.OLD, reply.status) + echo
    if reply.says_close or reply.framed is Framed.CLOSE:
        head += b"Connection: close\r\n"
    if reply.status in _BODILESS:
        pass
    elif reply.framed in (Framed.LENGTH, Framed.TWICE):
        head += b"Content-Length: %d\r\n" % sum(reply.sizes)
    if reply.framed in (Framed.CHUNKS, Framed.TWICE) and reply.status not in _BODILESS:
        head += b"Transfer-Encoding: chunked\r\n"
    pieces = [] if not has_body else parts
    if has_body and reply.framed in (Framed.CHUNKS, Framed.TWICE):
        pieces = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts] + [b"0\r\n\r\n"]
    return interim + head + b"\r\n", pieces, b"".join(parts) if has_body else b""


def model_of(replying: Replying) -> Model:
    model = Model()
    model.answer = replying
    return model
