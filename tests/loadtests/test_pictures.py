from __future__ import annotations

from pathlib import Path

from loadtests.clients import Outcome
from loadtests.pictures import save
from loadtests.report import Measured


def test_what_was_measured_is_drawn_and_nothing_else(tmp_path: Path) -> None:
    measured = Measured({"graygate": "1", "nginx": "2", "direct": ""}, 1, 1.0, 0.0)
    for case in ("get", "held10", "held100"):
        for name, cpu in (("graygate", 0.02), ("nginx", 0.01), ("direct", 0.0)):
            measured.add(case, name, 0, Outcome(done=1000, workers_cpu=cpu))
    measured.add("post", "nginx", 0, Outcome(done=0, failed=1))
    save(measured, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["connections.svg", "get.svg"]
    assert "direct" not in (tmp_path / "get.svg").read_text()
    assert ">20.0<" in (tmp_path / "get.svg").read_text()
