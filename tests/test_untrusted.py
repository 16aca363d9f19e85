"""A-20: what stands in the store is data, and no way leads from data to code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

GATEWAY = Path(__file__).parents[1] / "gateway"
MAKES_CODE = {"eval", "exec", "compile", "__import__"}
READS_OBJECTS = {"pickle", "marshal", "shelve", "dill", "yaml", "jsonpickle", "xml"}


def _sources() -> list[Path]:
    return sorted(GATEWAY.rglob("*.py"))


def _made_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in MAKES_CODE:
                yield f"{name}() in line {node.lineno}"
            case ast.Import(names=names):
                yield from (one.name for one in names if one.name.split(".")[0] in READS_OBJECTS)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in READS_OBJECTS:
                yield module
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                yield "a shell"
            case ast.Attribute(value=ast.Name(id="os"), attr="system" | "popen" as name):
                yield f"os.{name}"


@pytest.mark.parametrize("file", _sources(), ids=lambda file: str(file.relative_to(GATEWAY)))
def test_A20_no_code_is_made_of_data(file: Path) -> None:
    assert list(_made_of(ast.parse(file.read_text()))) == []


@pytest.mark.parametrize(
    "text",
    ["eval('1')", "import pickle", "from yaml import load", "f(shell=True)", "os.system('x')"],
)
def test_A20_each_of_those_would_be_found(text: str) -> None:
    assert list(_made_of(ast.parse(text)))
