"""Every test can fail: it asserts something, expects an error, or calls what does."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "src" / "postroom" / "testing").rglob("*.py")]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(text: str) -> list[Function]:
    """Without the collector, see test_budgets.parsed."""
    gc.disable()
    try:
        return [node for node in ast.walk(ast.parse(text)) if isinstance(node, Function)]
    finally:
        gc.enable()


def called(function: Function) -> set[str]:
    """The last names of what it calls."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {ast.unparse(call).rpartition(".")[2] for call in calls}


def asserts(function: Function) -> bool:
    return any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(function))


def idle(texts: list[str]) -> list[str]:
    """Tests that cannot fail but by an accident."""
    known = [(found.name, asserts(found), called(found)) for text in texts for found in functions(text)]
    strict = {"raises", "warns", "fail"}
    before = 0
    while len(strict) > before:
        before = len(strict)
        strict |= {name for name, itself, calls in known if not name.startswith("test_") and (itself or calls & strict)}
    return [name for name, itself, calls in known if name.startswith("test_") and not (itself or calls & strict)]


def test_every_test_can_fail() -> None:
    assert idle([path.read_text("utf-8") for path in FILES]) == []


def test_an_idle_test_is_noticed() -> None:
    helpers = "def checked(): assert look()\ndef by_way(): return checked()\n"
    strict = (
        "def test_a(): by_way()\ndef test_b():\n  with pytest.raises(X): f()\nasync def test_c(): assert await g()\n"
    )
    assert idle([helpers, strict, "def test_d(): f()\n"]) == ["test_d"]
