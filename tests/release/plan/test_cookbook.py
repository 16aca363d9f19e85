from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.release.plan.describe import render_table
from gateway.release.plan.presets import PRESETS
from gateway.release.plan.read import read_toml

COOKBOOK = (Path(__file__).parents[3] / "config" / "plans" / "README.md").read_text()
RECIPES = re.findall(r"^```toml\n(.*?)^```$", COOKBOOK, re.S | re.M)


def test_the_table_of_fields_is_that_of_the_code() -> None:
    table = COOKBOOK.split("<!-- plan: begin -->\n")[1].split("<!-- plan: end -->")[0]
    assert table == render_table()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_a_valid_plan(recipe: str) -> None:
    assert read_toml(recipe, zones=("Europe/Berlin",)).stages


def test_every_preset_is_told_of() -> None:
    assert all(f"[`{preset}`]({preset}.toml)" in COOKBOOK for preset in PRESETS)
