from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from loadtests.meter import children, cpu_seconds, parent, pin, private_bytes, user_and_system


def test_processor_time_is_that_of_all_threads_and_agrees_with_the_kernels_other_count() -> None:
    before, sums = time.process_time(), sum(range(2_000_000))
    assert sums
    mine = cpu_seconds(os.getpid())
    assert before < mine <= time.process_time()
    assert sum(user_and_system(os.getpid())) == pytest.approx(mine, abs=0.1)


def test_processor_time_of_another_process_can_be_read() -> None:
    command = "import sys; sum(range(3_000_000)); print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", command], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 0.01 < cpu_seconds(process.pid) < 30
        assert process.pid in children(os.getpid())
        assert parent(process.pid) == os.getpid()
        pin([process.pid], min(os.sched_getaffinity(0)))
        assert os.sched_getaffinity(process.pid) == {min(os.sched_getaffinity(0))}
        process.communicate()


def test_memory_counts_what_is_written_to() -> None:
    # A process of its own: in this one, memory that others have let go may be written to again.
    command = (
        "import mmap, sys\n"
        "size = 32 << 20\n"
        "block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "print('reserved', flush=True); sys.stdin.readline()\n"
        "for page in range(0, size, mmap.PAGESIZE): block[page] = 1\n"
        "print('written', flush=True); sys.stdin.readline()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", command], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"reserved\n"
        reserved = private_bytes(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"written\n"
        written = private_bytes(process.pid)
        process.communicate(b"\n")
    assert reserved < 32 << 20
    assert written - reserved >= 32 << 20
