"""Run the `>>>` examples of the docstrings; `torch` and `workbench` are imported for them."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch

import workbench

ROOT = Path(__file__).parent.parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def examples() -> Iterator[object]:
    """Every docstring with an example, read from the source: decorators hide functions from `DocTestFinder`."""
    for path in sorted((ROOT / "workbench").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if ">>> " in source:
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, Documented) and ">>> " in (text := ast.get_docstring(node) or ""):
                    name = getattr(node, "name", module)
                    yield pytest.param(module, name, text, id=f"{module.removeprefix('workbench.')}:{name}")


@pytest.mark.parametrize(("module", "name", "text"), list(examples()))
def test_an_example_prints_what_its_docstring_says(module: str, name: str, text: str) -> None:
    names = {**vars(import_module(module)), "torch": torch, "workbench": workbench}
    test = doctest.DocTestParser().get_doctest(text, names, name, module, 0)
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert result.attempted and not result.failed, "".join(report)
