"""Run the `>>>` examples of the docstrings, and require one for every public name.

`torch` and `workbench` are imported for the examples.
"""

from __future__ import annotations

import ast
import doctest
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch

import workbench
from workbench.core.interventions import Intervention
from workbench.core.registry import ANALYSES

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


def public_objects() -> dict[str, object]:
    """Every name of `workbench`, every intervention and every analysis."""
    edits = vars(workbench.interventions).items()
    edits = {name: x for name, x in edits if inspect.isfunction(x) and returns(x) == "Intervention"}
    names = {name: getattr(workbench, name) for name in workbench.PLACES if name != "interventions"}
    return {**names, **edits, "Intervention": Intervention, **{name: ANALYSES[name] for name in ANALYSES}}


def returns(function: object) -> str:
    return str(inspect.unwrap(function).__annotations__.get("return"))  # type: ignore[arg-type]


def test_the_interventions_are_found_by_what_they_return() -> None:
    assert {"zero", "mean", "resample", "patch", "steer", "scale", "clamp"} <= set(public_objects())


def test_every_public_name_has_an_example() -> None:
    documented = {(param.values[0], param.values[1]) for param in examples()}
    for name, item in public_objects().items():
        kind = item if inspect.isclass(item) or inspect.isfunction(item) else type(item)
        plain = inspect.unwrap(kind)  # type: ignore[arg-type]
        assert (plain.__module__, plain.__name__) in documented, name
