"""Fuzz cases by class, and the environment in which they run."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import workbench.cli
from app.widgets import training_panel
from tests.fuzz import questions
from tests.fuzz.calls import call, stop_soon
from tests.fuzz.commands import FAST, command
from tests.fuzz.files import comparison, pipeline
from tests.fuzz.links import link
from tests.fuzz.pages import open_page
from workbench.checkpoints.card import model_folder
from workbench.checkpoints.provenance import commit
from workbench.core.registry import ANALYSES, CIRCUITS, DATASETS, RECIPES
from workbench.experiments.pipelines.comparison import read_plan
from workbench.experiments.pipelines.pipeline import read_pipeline
from workbench.experiments.run import loaded
from workbench.experiments.store.data_contents import data_set

MODELS = ("digits_mlp", "induction_gpt", "shapes_gan", "dates_encoder_decoder", "cartpole_dqn")
"""One network of each kind of inputs, whose data is made in code."""
Case = tuple[str, Callable[[], Any], tuple[type[BaseException], ...]]
"""A description, the case itself, and the errors that are right besides those of the workbench."""


def warm() -> None:
    """Import everything and load the models, so that no case pays for it."""
    commit()
    for registry in (ANALYSES, CIRCUITS, RECIPES):
        registry.names()
    for model in MODELS:
        questions.hooks(model)
        if (data := loaded(model).card.data.name) in DATASETS:
            data_set(data)


@contextmanager
def confined(folder: Path) -> Iterator[None]:
    """Work in a folder with models and a store of its own; accepted work stops early and no process is started."""

    @contextmanager
    def bar(title: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
        yield stop_soon()

    here, models = os.getcwd(), folder / "models"
    os.mkfifo(folder / "pipe")
    for name in {*MODELS, *FAST}:
        shutil.copytree(model_folder(name), models / name)
    surroundings = {"WORKBENCH_RUNS": str(folder / "runs"), "WORKBENCH_MODELS": str(models), "COLUMNS": "80"}
    with ExitStack() as stack:
        for module in pkgutil.iter_modules(workbench.cli.__path__, "workbench.cli."):
            if hasattr(command_module := importlib.import_module(module.name), "bar"):
                stack.enter_context(patch.object(command_module, "bar", bar))
        stack.enter_context(patch.object(subprocess, "call", lambda *_, **__: 0))
        stack.enter_context(patch.object(training_panel, "launch", lambda *_: None))
        stack.enter_context(patch.dict(os.environ, surroundings))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def cli(rng: Random, folder: Path) -> Case:
    """A command line."""
    tokens = command(rng, MODELS, folder)
    return repr([token[:200] for token in tokens]), partial(workbench.cli.run, tokens), (OSError,)


def api(rng: Random, folder: Path) -> Case:
    """A call of the Python interface."""
    what, run = call(rng, MODELS, folder)
    return what, run, ()


def toml(rng: Random, folder: Path) -> Case:
    """A file read as a pipeline or as a comparison."""
    file, kind = folder / "file.toml", rng.random()
    content = pipeline(rng, MODELS) if kind < 0.7 else comparison(rng)
    file.write_bytes(content)
    read: Callable[[], Any] = partial(read_pipeline, file) if kind < 0.7 else partial(read_plan, str(file))
    return repr(content[:600]), read, ()


def url(rng: Random, folder: Path) -> Case:
    """A page opened by a link."""
    view, choices = link(rng, MODELS)
    return f"{view} {choices}", partial(open_page, view, choices), ()


MAKERS: dict[str, Callable[[Random, Path], Case]] = {"cli": cli, "api": api, "toml": toml, "url": url}
