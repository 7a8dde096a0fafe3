"""What a user's own training function reads belongs to the identity of the training."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from workbench.core.errors import CheckpointError
from workbench.core.registry import RECIPES
from workbench.recipes.identity import settings_of
from workbench.recipes.recipe import Recipe, make

SOURCE = """
import threading
import {helper}
FACTOR = 2.0
UNREAD = 3.0
TABLE = {{"lr": [0.1, 0.2]}}

def train(recipe, model, session):
    scale = FACTOR * TABLE["lr"][0] * {helper}.shift(1.0)
    for step in range(20):
        session.progress(step, 20)
    raise AssertionError("the progress stops this training")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the user's own with a training function, and the helper that it imports."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_helper.py").write_text("OFFSET = 1.0\n\ndef shift(x):\n    return x + OFFSET\n")
    (tmp_path / "own_training.py").write_text(SOURCE.format(helper="own_helper"))
    for name in ("own_training", "own_helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    invalidate_caches()
    return import_module("own_training")


def recipe_of(module: ModuleType) -> Recipe:
    return replace(RECIPES["digits_mlp"], name="own", train=module.train, reads=("digits",))


def identity(module: ModuleType) -> dict[str, Any]:
    return settings_of(recipe_of(module))


CHANGES: dict[str, Callable[[ModuleType], None]] = {
    "a global": lambda m: setattr(m, "FACTOR", 3.0),
    "a value inside of a global": lambda m: m.TABLE["lr"].__setitem__(1, 0.7),
    "a global of a helper": lambda m: setattr(m.own_helper, "OFFSET", 5.0),
    "a helper itself": lambda m: setattr(m.own_helper, "shift", lambda x: x),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_value_that_the_training_function_reads_counts(own: ModuleType, change: Callable[[ModuleType], None]) -> None:
    before = identity(own)
    assert identity(own) == before
    change(own)
    changed = {name for name, value in identity(own).items() if before.get(name) != value}
    assert changed and all(name.startswith("value.own_") for name in changed)


def test_a_value_that_nothing_reads_does_not_count(own: ModuleType) -> None:
    before = identity(own)
    own.UNREAD = 7.0
    assert identity(own) == before


def test_the_recipes_of_the_workbench_have_no_such_settings() -> None:
    assert not [name for name in settings_of(RECIPES["digits_mlp"]) if name.startswith(("value.", "code."))]


class Stop(Exception):
    pass


def interrupt(module: ModuleType, folder: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            (folder / "training_state.safetensors").touch()
            raise Stop

    with pytest.raises(Stop):
        make(recipe_of(module), folder, stop)


def test_an_interrupted_training_is_not_resumed_with_another_global(own: ModuleType, tmp_path: Path) -> None:
    interrupt(own, tmp_path / "model")
    interrupt(own, tmp_path / "model")  # the same values continue
    own.FACTOR = 3.0
    with pytest.raises(CheckpointError, match=r"interrupted training with value\.own_training\.FACTOR="):
        make(recipe_of(own), tmp_path / "model")


def test_a_value_that_cannot_be_compared_is_named(own: ModuleType, tmp_path: Path) -> None:
    own.TABLE["lock"] = threading.Lock()
    interrupt(own, tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"reads own_training\.TABLE, whose value cannot be compared"):
        make(recipe_of(own), tmp_path / "model")
