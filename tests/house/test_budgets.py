"""The house rules that linters do not know: sizes of functions and files, names of modules and classes."""

from __future__ import annotations

import ast
import gc
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "postroom"
FILES = sorted(SOURCE.rglob("*.py"))
FUNCTION_LINES = 60
FILE_LINES = 500
BANNED_MODULES = {"utils", "util", "common", "helpers", "helper", "core", "misc"}
BANNED_CLASS = re.compile(r"(Manager|Handler|Helper)$")


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def parsed(text: str) -> ast.Module:
    """Without the collector: before CPython 3.11.5 a parse that it interrupts may fail (python/cpython#106905)."""
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        gc.enable()


def test_there_is_something_to_measure() -> None:
    assert len(FILES) > 40


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_file_keeps_its_budget(path: Path) -> None:
    text = path.read_text()
    tree = parsed(text)
    assert text.count("\n") <= FILE_LINES, f"{_name(path)} has more than {FILE_LINES} lines"
    assert path.stem not in BANNED_MODULES
    assert ast.get_docstring(tree), f"{_name(path)} opens without its contract"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{_name(path)}:{node.lineno} {node.name} has {length} lines"
        elif isinstance(node, ast.ClassDef):
            assert not BANNED_CLASS.search(node.name), f"{_name(path)}:{node.lineno} {node.name}"


def test_nothing_sleeps_in_tests() -> None:
    sleepers = [
        path.name
        for path in Path(__file__).parents[1].rglob("*.py")
        if re.search(r"\b(?:time|asyncio)\.sleep\((?!0\))", path.read_text()) and path != Path(__file__)
    ]
    assert sleepers == []
