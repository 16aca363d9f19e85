"""Runs a command as a service manager does that has opened its sockets.

python -m tests.process.activated NAMES FD,FD... COMMAND...
"""

from __future__ import annotations

import fcntl
import os
import sys


def main() -> None:
    names, numbers, *command = sys.argv[1:]
    # First out of the way of each other.
    held = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in numbers.split(",")]
    for number, fd in enumerate(held):
        os.dup2(fd, 3 + number)
    os.environ |= {
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": str(len(held)),
        "LISTEN_FDNAMES": names,
    }
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
