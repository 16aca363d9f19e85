"""A gateway whose clients may have three quarters of a worker's descriptors, and not half of them.

    python -m loadtests.roomy serve ...     is `graygate serve ...` otherwise

For machines whose hard limit is too low to measure thousands of connections by the gateway's own
rule, which keeps a descriptor of an endpoint for each client. Clients that wait need none.
"""

from __future__ import annotations

import resource
import sys
from unittest.mock import patch

from gateway.cli import entry
from gateway.process import worker
from gateway.process.launch import Programs

SHARE = 0.75


def three_quarters(wanted: int | str) -> int:
    """In place of the gateway's own count; the setting is not looked at."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return int(hard * SHARE)


def main() -> None:
    if sys.argv[1].isdigit():  # a worker, which is given the number of its lifeline
        with patch("gateway.proxy.plane._most_connections", three_quarters):
            worker.main()
    else:
        programs = Programs(worker=(sys.executable, "-P", "-m", "loadtests.roomy"))
        with patch("gateway.process.supervisor.Programs", lambda: programs):
            entry.main()


if __name__ == "__main__":
    main()
