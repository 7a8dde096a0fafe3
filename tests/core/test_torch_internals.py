"""Tests that private interfaces of torch and TransformerLens are each used in one file."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from workbench.core.torch_internals import is_compiled

ROOT = Path(__file__).parents[2]
PRIVATE = re.compile(r"(?:from|import) torch(?:\.\w+)*\._|\btorch\._\w+\(")


def sources_with(pattern: re.Pattern[str]) -> set[str]:
    files = [path for folder in ("workbench", "app") for path in (ROOT / folder).rglob("*.py")]
    return {path.name for path in files if pattern.search(path.read_text(encoding="utf-8"))}


def test_private_interfaces_of_torch_are_imported_in_one_file() -> None:
    assert sources_with(PRIVATE) == {"torch_internals.py"}


def test_transformer_lens_is_imported_in_one_file() -> None:
    assert sources_with(re.compile(r"(?:from|import) transformer_lens")) == {"lens.py"}


def test_their_versions_have_an_upper_bound_above_the_installed_one() -> None:
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    for name in ("torch", "transformer-lens"):
        (bound,) = (need.rpartition("<")[2] for need in needs if re.match(rf"{name}[<>=]", need))
        numbers = [int(part) for part in re.findall(r"\d+", version(name).partition("+")[0])]
        assert numbers < [int(part) for part in bound.split(".")]


def test_a_compiled_module_is_recognised() -> None:
    plain, compiled_in_place = nn.Linear(2, 2), nn.Linear(2, 2)
    compiled_in_place.compile()
    assert is_compiled(torch.compile(plain)) and is_compiled(compiled_in_place) and not is_compiled(plain)
