"""Tests that results, settings and parts of graphs are immutable."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from types import ModuleType

import workbench.analysis.circuits
import workbench.core

CHANGING = {"workbench.analysis.circuits.acdc.Search"}
"""Dataclasses that are written to on purpose: the state of a search."""


def dataclasses_of(package: ModuleType) -> dict[str, type]:
    modules = [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    own = [(m.__name__, item) for m in modules for item in vars(m).values() if isinstance(item, type)]
    return {
        f"{name}.{item.__name__}": item
        for name, item in own
        if item.__module__ == name and dataclasses.is_dataclass(item)
    }


def test_every_dataclass_is_frozen() -> None:
    found = dataclasses_of(workbench.core) | dataclasses_of(workbench.analysis.circuits)
    assert len(found) > 40
    changing = {name for name, item in found.items() if not item.__dataclass_params__.frozen}
    assert changing == CHANGING
