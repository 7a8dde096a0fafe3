"""Hyperparameter search for a recipe with Optuna; a study is kept on disk and can be continued.

Settings are judged on a held-out tenth of the training set; the test set is never used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import torch

from workbench.core.errors import ConfigError, InputError, TrainingError, UnknownNameError
from workbench.core.progress import Progress, silent
from workbench.core.ranges import check_value
from workbench.core.registry import RECIPES
from workbench.experiments.pipelines.comparison import require_lesson
from workbench.experiments.pipelines.data_fit import require_data_fit
from workbench.experiments.pipelines.model_size import require_size
from workbench.experiments.questions.parameters import as_json, from_text
from workbench.experiments.questions.settings import convert_settings, kinds
from workbench.experiments.store.changes import training_differences
from workbench.experiments.store.dependencies import recipe_facts
from workbench.experiments.store.processes import Process, this_process
from workbench.experiments.store.run_log import require_slug, runs_folder
from workbench.recipes.recipe import Recipe, Session, build

if TYPE_CHECKING:
    import optuna

HELD_OUT = 0.1
PLAN, FACTS, OWNER = "plan", "facts", "owner"
"""Attributes of a study and its trials: the plan, the facts behind the scores, and the training process."""


@dataclass(frozen=True)
class Range:
    """Range of a searched setting: numbers from `low` to `high`, on a logarithmic scale if `log`, or `choices`."""

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    def suggest(self, trial: optuna.Trial) -> Any:
        """Suggest the value of a trial; a choice is text as on a command line."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        if self.whole:
            return trial.suggest_int(self.name, int(self.low or 0), int(self.high or 0), log=self.log)
        return trial.suggest_float(self.name, float(self.low or 0), float(self.high or 0), log=self.log)


@dataclass(frozen=True)
class SearchPlan:
    """A search: ranges of a recipe's settings, fixed settings, and the metric to optimize."""

    recipe: str
    ranges: tuple[Range, ...]
    settings: Mapping[str, Any]
    metric: str = "test_accuracy"

    def __post_init__(self) -> None:
        for name in (found.name for found in self.ranges if found.name in self.settings):
            raise InputError(
                f"{name!r} is searched and set to {self.settings[name]!r} as well. Leave out its range or its setting."
            )

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """True for losses, errors and distances, which are minimized."""
        return "minimize" if self.metric.endswith(("loss", "error", "distance")) else "maximize"


def ranges_from(recipe: Recipe, words: Sequence[str]) -> tuple[Range, ...]:
    """Read ranges from `NAME=LOW..HIGH`, `NAME=LOW..HIGH,log` and `NAME=THIS|THAT`."""
    if not words:
        raise InputError("Nothing to search. Write at least one range, such as lr=1e-4..1e-1,log.")
    ranges = tuple(range_from(recipe, word) for word in words)
    for place, found in enumerate(ranges):
        if found.name in (earlier := [other.name for other in ranges[:place]]):
            words_of_it = f"{words[earlier.index(found.name)]} and {words[place]}"
            raise InputError(f"{found.name!r} has two ranges, {words_of_it}. Leave one out.")
    return ranges


def range_from(recipe: Recipe, word: str) -> Range:
    """Read one range."""
    name, equals, text = word.partition("=")
    known = kinds(recipe)
    if name not in known:
        raise UnknownNameError("setting", name, known, where=f" in recipe {recipe.name}")
    if not equals or not text:
        raise InputError(f"{word!r} is no range. Write NAME=LOW..HIGH, NAME=LOW..HIGH,log or NAME=THIS|THAT.")
    if ".." not in text:
        choices = tuple(text.split("|"))
        for choice in choices:
            check_value(known[name], from_text(known[name], choice), f"{name!r} of {recipe.name}")
        return Range(name, choices=choices)
    span, _, scale = text.partition(",")
    ends = span.split("..")
    if len(ends) != 2:
        raise InputError(f"{span!r} is not LOW..HIGH with two numbers.")
    where = f"{name!r} of {recipe.name}"
    low, high = (check_value(known[name], from_text(known[name], end), where) for end in ends)
    if not all(type(end) in (int, float) for end in (low, high)):
        raise InputError(f"{name!r} of {recipe.name} is no number. Write its values as {name}=THIS|THAT.")
    if not low < high or scale not in ("", "log") or (scale and low <= 0):
        raise InputError(f"{word!r} is no range: LOW below HIGH, and above 0 with `,log`.")
    return Range(name, float(low), float(high), scale == "log", type(low) is int)


def studies_folder() -> Path:
    """Return the folder of the searches."""
    return runs_folder() / "searches"


def searches() -> list[str]:
    """List the names of the existing searches."""
    return sorted(path.stem for path in studies_folder().glob("*.db"))


def open_study(name: str, plan: SearchPlan | None = None) -> optuna.Study:
    """Open the study of that name; with `plan`, create it or require the stored plan to be the same."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    require_slug(name)
    path = studies_folder() / f"{name}.db"
    if plan is None and not path.is_file():
        raise UnknownNameError("search", name, searches(), where=f" in {studies_folder()}")
    facts = None if plan is None else recipe_facts(require_data_fit(recipe_of(plan)))  # refused before it is stored
    path.parent.mkdir(parents=True, exist_ok=True)
    direction = None if plan is None else plan.direction
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name=name, direction=direction, load_if_exists=True)
    # The seed moves on with the trials: else a search that is continued would draw its first ones again.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))
    if plan is not None and facts is not None:
        stored = json.loads(json.dumps({**asdict(plan), "settings": {n: as_json(v) for n, v in plan.settings.items()}}))
        if study.user_attrs.setdefault(PLAN, stored) != stored:
            raise ConfigError(
                f"The search {name} is another one: {study.user_attrs[PLAN]}. Give this one another --name."
            )
        study.set_user_attr(PLAN, stored)
        require_same_training(name, study, facts)
    return study


def require_same_training(name: str, study: optuna.Study, facts: Mapping[str, Any]) -> None:
    """Raise an `InputError` if earlier trials were scored with other data or code: their scores do not compare."""
    if study.trials and (changes := training_differences(study.user_attrs.get(FACTS, {}), facts)):
        raise ConfigError(
            f"The trials of the search {name} do not compare with new ones, since {'; '.join(changes)}. "
            "Give this one another --name."
        )
    study.set_user_attr(FACTS, facts)


def recipe_of(plan: SearchPlan, suggested: Mapping[str, Any] = MappingProxyType({})) -> Recipe:
    """Return the recipe with the fixed settings of all trials and those suggested to one."""
    plain = RECIPES[plan.recipe]
    settings = convert_settings(plain, {**plan.settings, **suggested, "held_out": HELD_OUT})
    return require_size(plain.with_settings(settings))


def search(name: str, plan: SearchPlan, trials: int, progress: Progress = silent) -> optuna.Study:
    """Add `trials` trainings to a study; earlier trials are kept and inform the new ones.

    A training with a loss that is not finite counts as failed. If cancelled or killed, at most one trial is lost.
    """
    import optuna

    require_lesson(RECIPES[plan.recipe])
    study = open_study(name, plan)
    for left in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        owner = left.user_attrs.get(OWNER)
        if owner is None or not Process(*owner).is_alive:
            study.tell(left.number, state=optuna.trial.TrialState.FAIL)
    for place in range(trials):
        report: Progress = lambda done, total, place=place: progress(place * total + done, trials * total)
        study.optimize(lambda trial, report=report: score(plan, trial, report), n_trials=1, catch=(TrainingError,))
    return study


def score(plan: SearchPlan, trial: optuna.Trial, progress: Progress) -> float:
    """Train with suggested settings and return the metric on the held-out part of the training set."""
    trial.set_user_attr(OWNER, list(this_process()))
    known, suggested = kinds(RECIPES[plan.recipe]), {r.name: r.suggest(trial) for r in plan.ranges}
    recipe = recipe_of(plan, {n: from_text(known[n], v) if isinstance(v, str) else v for n, v in suggested.items()})
    torch.set_num_threads(recipe.threads)
    with TemporaryDirectory() as scratch:
        session = Session(Path(scratch) / "state", progress, lambda step, m: None)
        metrics = recipe.train(recipe, build(recipe), session).metrics
    if plan.metric not in metrics:
        raise UnknownNameError("metric", plan.metric, metrics, where=f" of recipe {plan.recipe}")
    return float(metrics[plan.metric]["value"])
