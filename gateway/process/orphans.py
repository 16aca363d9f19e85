"""The duty of process 1 in a container: to take in the end of processes that lost their parent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container

INIT = 1


def reap_orphans(ours: Container[int]) -> int:
    """Takes in what has ended and is not among `ours`; returns how many.

    Our own children are left to whoever started them, who wants to know how they ended; when one
    of them has just ended, the rest waits for the next call.
    """
    count = 0
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in ours:
                break
            os.waitpid(ended.si_pid, os.WNOHANG)
            count += 1
    return count
