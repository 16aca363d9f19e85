"""How many processors may be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config.settings import Process, Settings
from gateway.process import processors
from gateway.process.launch import MOST_WORKERS, worker_count
from gateway.process.processors import cpu_quota, usable_processors


def group(top: Path, path: str, **files: str) -> None:
    folder = top / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


def own(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "own"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_without_a_limit_there_is_no_quota(tmp_path: Path) -> None:
    group(tmp_path, "a", cpu__max="max 100000\n")
    assert cpu_quota(tmp_path, own(tmp_path, "0::/a")) is None
    assert cpu_quota(tmp_path, own(tmp_path, "0::/")) is None
    assert cpu_quota(tmp_path, tmp_path / "absent") is None


def test_the_tightest_group_on_the_way_up_counts(tmp_path: Path) -> None:
    group(tmp_path, "pod", cpu__max="150000 100000\n")
    group(tmp_path, "pod/container", cpu__max="300000 100000\n")
    assert cpu_quota(tmp_path, own(tmp_path, "0::/pod/container")) == 1.5


def test_in_a_container_the_limit_is_at_the_top(tmp_path: Path) -> None:
    group(tmp_path, "", cpu__max="50000 100000\n")
    assert cpu_quota(tmp_path, own(tmp_path, "0::/kubepods/of/the/host")) == 0.5


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    files = {"cpu__cfs_quota_us": "400000\n", "cpu__cfs_period_us": "100000\n"}
    group(tmp_path, "cpu/docker/1", **files)
    group(tmp_path, "cpu", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    lines = own(tmp_path, "5:memory:/docker/1", "4:cpu,cpuacct:/docker/1")
    assert cpu_quota(tmp_path, lines) == 4.0


@pytest.mark.parametrize("content", ["", "garbage", "1 2 3", "x 100000", "100000 0"])
def test_what_cannot_be_read_limits_nothing(tmp_path: Path, content: str) -> None:
    group(tmp_path, "a", cpu__max=content)
    assert cpu_quota(tmp_path, own(tmp_path, "0::/a")) is None


@pytest.mark.parametrize(("quota", "count"), [(None, 8), (2.5, 3), (0.1, 1), (64.0, 8)])
def test_auto_means_what_we_are_bound_to_but_no_more_than_the_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setattr(processors, "cpu_quota", lambda *_: quota)
    assert usable_processors() == count
    assert worker_count(Settings()) == count


def test_a_number_that_is_set_counts_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_count(Settings(process=Process(workers=7))) == 7
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(500)), raising=False)
    monkeypatch.setattr(processors, "cpu_quota", lambda *_: None)
    assert worker_count(Settings()) == MOST_WORKERS
