"""Pipeline files: several questions and grids of them, each answered once.

    [defaults]
    model = "digits_mlp"
    inputs = "test:0:64"

    [[runs]]
    analysis = "ablation"
    hook = "blocks.0.hook_post"

    [runs.grid]
    method = ["zero", "mean"]
    seed = [0, 1, 2]

asks six questions: a list in the grid gives one for each of its values, and `defaults` hold for every run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from workbench.core.errors import Cancelled, ConfigError, UnknownNameError, WorkbenchError, short, suggestion
from workbench.core.progress import Progress, silent
from workbench.core.reading import read_toml
from workbench.experiments.questions.budget import require
from workbench.experiments.questions.spec import Spec, from_fields
from workbench.experiments.run import answer
from workbench.experiments.store.results import ResultStore

TABLES = ("defaults", "runs")
STUDIES = Path(__file__).parents[2] / "studies"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a question (`done` if computed now, `stored` or `failed`) and its time."""

    spec: Spec
    key: str
    status: Literal["done", "stored", "failed"]
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Summary:
    """The outcomes of all questions of a pipeline, in order."""

    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Return the questions without an answer."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    def rows(self) -> list[dict[str, Any]]:
        """Return one JSON object per question."""
        return [asdict(outcome) for outcome in self.outcomes]


def studies() -> dict[str, str]:
    """Map the studies that come with the workbench to the first line of their file, their question."""
    return {path.stem: question_of(path) for path in sorted(STUDIES.glob("*.toml"))}


def question_of(path: Path) -> str:
    """Return the first line of a file without its comment mark."""
    return path.read_text(encoding="utf-8-sig").partition("\n")[0].lstrip("# ")


def locate_pipeline(path: Path) -> Path:
    """Return the path of a pipeline, or of the study of that name."""
    if path.suffix or path.parent != Path() or os.path.lexists(path):
        return path
    if path.name not in studies():
        raise UnknownNameError("study", path.name, studies(), where=", and no file is called so")
    return STUDIES / f"{path.name}.toml"


def read_pipeline(path: Path) -> tuple[Spec, ...]:
    """Read and check the questions of a pipeline file or a study, with grids expanded and defaults filled in."""
    path = locate_pipeline(path)
    content, where = read_toml(path, "pipeline file"), short(str(path))
    for name in content:
        if name not in TABLES:
            raise ConfigError(f"{where} has a table {short(name)}, which means nothing. {suggestion(name, TABLES)}")
    runs, defaults = content.get("runs", []), content.get("defaults", {})
    if not isinstance(defaults, dict):
        raise ConfigError(f"'defaults' in {where} should be a table [defaults], not {short(defaults)}.")
    if not runs or not isinstance(runs, list) or not all(isinstance(table, dict) for table in runs):
        raise ConfigError(
            f"{where} asks nothing: it should have at least one table [[runs]], in two pairs of brackets, with an "
            "analysis and a model."
        )
    specs: dict[Spec, None] = {}
    for place, table in enumerate(runs, 1):
        specs |= dict.fromkeys(expand_grid(table, defaults, f"{where}, run {place}"))
        require("questions", len(specs), where)
    return tuple(specs)


def expand_grid(table: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> list[Spec]:
    """Yield a checked specification for each combination of a run's grid values."""
    fixed = {name: value for name, value in table.items() if name != "grid"}
    grid = table.get("grid", {})
    if not isinstance(grid, dict):
        raise ConfigError(f"{where}: the grid should be a table [runs.grid] of lists, not {short(grid)}.")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"{where}: the grid needs a list of values for {short(name)}, not {short(values)}.")
    nested = table.get("parameters", {})
    for name in (name for name in grid if name in fixed or (isinstance(nested, dict) and name in nested)):
        raise ConfigError(f"{where} has {short(name)} itself and in its grid. Leave one out.")
    require("questions", prod(map(len, grid.values())), f"the grid of {where}")
    try:
        return [
            from_fields({**defaults, **fixed, **dict(zip(grid, values, strict=True))}).complete()
            for values in product(*grid.values())
        ]
    except WorkbenchError as error:
        raise ConfigError(f"{where}: {error}") from error


def run_pipeline(
    specs: tuple[Spec, ...],
    store: ResultStore | None = None,
    progress: Callable[[Spec], Progress] = lambda spec: silent,
    finished: Callable[[Outcome], None] = lambda outcome: None,
) -> Summary:
    """Answer every question; one that fails does not stop the others.

    Stored answers are not computed again, so after a kill the same call continues. `progress` returns the callback for
    one question, and `finished` is called with each outcome.
    """
    store = store or ResultStore()
    keys = [spec.key for spec in specs]
    for key, spec in zip(keys, specs, strict=True):
        if not store.has(key):
            store.queue(key, asdict(spec))
    outcomes: list[Outcome] = []
    try:
        for key, spec in zip(keys, specs, strict=True):
            outcomes.append(outcome_of(spec, key, store, progress(spec)))
            store.withdraw(key)  # where it was answered under another key, something it depends on has changed
            finished(outcomes[-1])
    finally:
        for key in keys[len(outcomes) :]:
            if not store.has(key):
                store.withdraw(key)
    return Summary(tuple(outcomes))


def outcome_of(spec: Spec, key: str, store: ResultStore, progress: Progress) -> Outcome:
    """Answer one question."""
    begin = perf_counter()
    try:
        found = answer(spec, progress, store)
    except Cancelled:
        raise
    except Exception as error:
        message = str(error) or type(error).__name__
        return Outcome(spec, key, "failed", round(perf_counter() - begin, 3), message)
    status: Literal["done", "stored"] = "done" if found.computed else "stored"
    return Outcome(spec, found.key, status, round(perf_counter() - begin, 3))
