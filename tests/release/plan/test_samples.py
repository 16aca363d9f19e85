"""The samples are what an operator copies, so they are held to the presets they spell out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from gateway.release.plan.presets import PRESETS
from gateway.release.plan.read import read_plan, read_toml

FOLDER = Path(__file__).parents[3] / "config" / "plans"
SAMPLES = sorted(FOLDER.glob("*.toml"))


def test_there_is_a_sample_of_every_preset() -> None:
    assert {path.stem for path in SAMPLES} == set(PRESETS)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_says_what_its_preset_fills_in(path: Path) -> None:
    document = tomllib.loads(path.read_text())
    names = {"route": "chat", "candidate": "v2"}
    told = {"mode", "goal", "owner"} & set(document)
    preset = read_plan({"preset": path.stem, **names, **{name: document[name] for name in told}})
    assert read_toml(path.read_text()) == preset
    spelled_out = read_plan({key: value for key, value in document.items() if key != "preset"})
    assert msgspec.structs.replace(spelled_out, preset=path.stem) == preset


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_what_a_sample_shows_commented_out_is_valid_too(path: Path) -> None:
    text = re.sub(r"(?m)^#(?=[\[a-z])", "", path.read_text())
    assert read_toml(text).route == "chat"
