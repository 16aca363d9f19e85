"""A process that ends when the one that started it ends, however that one died.

Linux does it by itself (PR_SET_PDEATHSIG): the signal is armed in the child, survives exec, and
fires when the *thread* that started the child ends, so children are started from the main thread
only (`Child` sees to that). Elsewhere our own programs look at their parent now and then.

Run as a script, `tether.py PARENT_PID PROGRAM ARGS...` arms the signal and becomes the program.
That costs 15 ms of interpreter start and replaces `preexec_fn`, which is unsafe beside threads.
Nothing of ours is imported here, so that the script needs no import path.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 0.5


def tie_to_parent(parent_pid: int) -> None:
    """Asks the kernel to end this process with its parent; ends it now if that one is gone."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    # The parent may have died before the signal was armed; nobody would tell us any more.
    if os.getppid() != parent_pid:
        sys.exit(0)


async def parent_gone(parent_pid: int) -> None:
    """Returns when the parent has ended: the net for systems without a parent-death signal."""
    while os.getppid() == parent_pid:  # noqa: ASYNC110 - the kernel has no event for this
        await asyncio.sleep(LOOK_SECONDS)


def become(parent_pid: int, argv: list[str]) -> None:
    """Turns this process into the program `argv`, tied to its parent; returns only on failure."""
    tie_to_parent(parent_pid)
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        print(f"cannot run {argv[0]}: {error.strerror}", file=sys.stderr)  # into the log file
        sys.exit(127)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
