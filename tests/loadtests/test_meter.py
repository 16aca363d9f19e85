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
    before = private_bytes(os.getpid())
    block = bytearray(os.urandom(1024)) * (32 * 1024)
    assert private_bytes(os.getpid()) - before > 0.9 * len(block)
