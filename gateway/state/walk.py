"""Going through a set of any size, a slice at a time, on a connection that others use too."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

from gateway.errors import StoreError
from gateway.state.link import Link
from gateway.state.reader import of_other_type

SLICE_IDS = 1000

_SPECIAL = re.compile(r"([*?\[\]\\])")


async def walk(
    get_link: Callable[[], Awaitable[Link]], key: str, *, pattern: str = "", cursor: str = "0"
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The members, slice by slice, each with the cursor to go on from; "0" comes with the last one.

    Of members that come and go meanwhile some may be missing, and one may come twice.
    """
    match = ("MATCH", pattern.encode()) if pattern else ()
    while True:
        link = await get_link()
        try:
            reply = await link.call("SSCAN", key, cursor, *match, "COUNT", SLICE_IDS)
        except StoreError as error:
            raise of_other_type(error, key, "set") from None
        following, ids = cast("tuple[bytes, list[bytes]]", reply)
        cursor = following.decode()
        yield cursor, ids
        if cursor == "0":
            return


def literally(text: str) -> str:
    """A pattern that matches just this text."""
    return _SPECIAL.sub(r"\\\1", text)
