"""Kill processes at random moments while they save, compute or train, and count what is lost or mixed afterwards.

1. Fork a process from this one, in which everything is imported and warm, and let it work in a folder of its own.
2. Send it SIGKILL after a random time, a few times in some trials.
3. Do the same work again, as a user would with the same command, and compare what is there with uninterrupted work.

Lost: something that was finished is gone, or the work cannot be done any more. Mixed: a file says that it is of one
run, model or question and holds another's numbers, or a training continued with other settings than it began with.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tests.bench.harness import Figure
from tests.campaigns.kill_trainings import RECIPES, other, weights_of
from workbench.analysis.ablation import Ablation
from workbench.checkpoints.card import Card, DataSource, card_of, steps_folder
from workbench.checkpoints.encoding import encode
from workbench.checkpoints.store import load_folder, save
from workbench.checkpoints.writing import CARD
from workbench.core.errors import CheckpointError
from workbench.core.registry import ANALYSES, DATASETS, MODELS
from workbench.core.registry import RECIPES as REGISTERED
from workbench.experiments.pipelines.pipeline import run_pipeline
from workbench.experiments.questions.spec import Spec
from workbench.experiments.store.results import ResultStore
from workbench.recipes.identity import run_of, settings_of
from workbench.recipes.recipe import Recipe, make
from workbench.recipes.run_record import RECORD, STATE
from workbench.training.curve import Curve
from workbench.zoo.mlp import MLPClassifier, MLPConfig

SIZE = 300
WORKERS = min(2, os.cpu_count() or 1)
DONE, REFUSED, FAILED = 0, 3, 4
"""Exit codes of a process that was not killed."""
HOOKS = ("hook_input", "blocks.0.hook_post", "blocks.1.hook_post")
QUESTIONS = (
    *(Spec("digits_mlp", "ablation", "test:0:8", parameters={"hook": hook}) for hook in HOOKS),
    Spec("digits_mlp", "activations", "test:0:8", parameters={"hook": HOOKS[1]}),
)
Found = Counter[str]


def forked(work: Callable[[], object]) -> int:
    """Start a process that does some work and exits; return its number."""
    child = os.fork()
    if child:
        return child
    code = FAILED
    try:
        work()
        code = DONE
    except CheckpointError as error:
        code = REFUSED if "holds a" in str(error) or "Another process" in str(error) else FAILED
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Wait for a process; return its exit code, minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(work: Callable[[], object], seconds: float) -> int:
    """Do some work in another process and kill it after this time, if it has not ended."""
    child = forked(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return ended(child)


# Saved models


def save_in_turns(folder: Path, models: list[MLPClassifier]) -> None:
    """Save one model after the other for ever."""
    while True:
        for seed, model in enumerate(models):
            card = Card("mlp", "none", DataSource("made", "ab" * 32), seed, run=f"run{seed}")
            save(folder, model, card, Curve([seed], {"seed": [float(seed)]}), overwrite=True)


def try_checkpoint(folder: Path, rng: random.Random) -> Found:
    """Saving a model over another."""
    models = [MLPClassifier(MLPConfig(8, (16,), 4)).eval() for _ in range(3)]
    inputs = models[0].example(4)
    card = Card("mlp", "none", DataSource("made", "ab" * 32), 0, run="run0")
    save(folder, models[0], card, Curve([0], {"seed": [0.0]}))
    killed(partial(save_in_turns, folder, models), rng.uniform(0, 0.06))
    try:
        loaded = load_folder(folder)
    except Exception:
        return Counter(lost=1)
    curve = json.loads((folder / "curve.json").read_text())["seed"]
    same = torch.equal(loaded(inputs), models[loaded.card.seed](inputs)) and curve == [loaded.card.seed]
    return Counter(mixed=not same)


# Stored results


def result_of(number: int) -> Ablation:
    """A result that tells its number."""
    values = torch.full((3, 2), float(number))
    return Ablation(f"hook{number}", "unit", "zero", baseline=values[0], effect=values)


def put_results(folder: Path, told: int) -> None:
    """Store results one after the other for ever, and tell each number when it is stored."""
    store, number = ResultStore(folder), 0
    while True:
        store.put(f"key{number}", result_of(number), {"model": "made", "number": number}, {"time": "now"})
        os.write(told, b"%d\n" % number)
        number += 1


def try_run(folder: Path, rng: random.Random) -> Found:
    """Storing results."""
    ready, told = os.pipe()
    killed(partial(put_results, folder, told), rng.uniform(0, 0.12))
    os.close(told)
    with os.fdopen(ready) as stream:
        finished = [int(line) for line in stream.read().split()]
    store, found = ResultStore(folder), Counter[str]()
    for number in finished:
        try:
            found["mixed"] += not torch.equal(store.get(f"key{number}").effect, result_of(number).effect)
        except Exception:
            found["lost"] += 1
    if (folder / "catalog.sqlite").exists():
        for row in store.catalog().to_dict("records"):
            found["mixed"] += not torch.equal(store.get(row["key"]).effect, result_of(int(row["number"])).effect)
    again = store.put(f"key{len(finished)}", result_of(len(finished)), {"model": "made", "number": len(finished)}, {})
    found["lost"] += not torch.equal(again.effect, result_of(len(finished)).effect)
    return found


# Pipelines


def answer_questions(folder: Path, told: int) -> None:
    """Ask several questions, and tell the key of each when it is answered."""
    store = ResultStore(folder)
    run_pipeline(
        QUESTIONS, store, finished=lambda outcome: os.write(told, f"{outcome.key} {outcome.status}\n".encode())
    )


def asked(folder: Path, seconds: float | None = None) -> dict[str, str]:
    """Run the pipeline in another process, killed after a time; return what it told."""
    ready, told = os.pipe()
    work = partial(answer_questions, folder, told)
    code = ended(forked(work)) if seconds is None else killed(work, seconds)
    os.close(told)
    with os.fdopen(ready) as stream:
        lines = dict(line.split() for line in stream.read().splitlines())
    return lines | ({"": "failed"} if seconds is None and code != DONE else {})


@cache
def right_answers() -> tuple[dict[str, str], float]:
    """The hash of each answer, and how long all of them take."""
    with TemporaryDirectory() as scratch:
        began = time.perf_counter()
        keys = asked(Path(scratch))
        return {key: fingerprint(ResultStore(Path(scratch)).get(key)) for key in keys}, time.perf_counter() - began


def fingerprint(result: Any) -> str:
    """Every bit of a result."""
    tensors, values = encode(result)
    return json.dumps([values, {n: (t.tolist(), str(t.dtype)) for n, t in tensors.items()}], sort_keys=True)


def try_pipeline(folder: Path, rng: random.Random) -> Found:
    """Answering several questions."""
    right, seconds = right_answers()
    before = asked(folder, rng.uniform(0, 1.1 * seconds))
    after, store = asked(folder), ResultStore(folder)
    found = Counter(lost=sum(after.get(key) != "stored" for key in before) + (after.keys() != right.keys()))
    for key in after.keys() & right.keys():
        found["mixed"] += fingerprint(store.get(key)) != right[key]
    return found


# Trainings


@cache
def reference(kind: str) -> tuple[dict[str, Any], float]:
    """The weights of an uninterrupted training and of the steps it kept, and how long it takes."""
    with TemporaryDirectory() as scratch:
        folder, began = Path(scratch) / "m", time.perf_counter()
        assert ended(forked(partial(make, RECIPES[kind], folder))) == DONE, kind
        seconds = time.perf_counter() - began
        return contents(folder), seconds


def contents(folder: Path) -> dict[str, Any]:
    """Weights at the end and at the kept steps, and the curve without its times."""
    run = card_of(folder).run
    kept = sorted(int(path.stem) for path in steps_folder(folder, run).glob("*.safetensors"))
    table = json.loads((folder / "curve.json").read_text())
    curve = {name: column for name, column in table.items() if "second" not in name}
    weights = {step: weights_of(load_folder(folder, step)) for step in (None, *kept)}
    return {"curve": json.dumps(curve), "weights": weights}


def is_same(one: dict[str, Any], two: dict[str, Any]) -> bool:
    """Whether two trainings ended alike, bit for bit."""
    first, second = one["weights"], two["weights"]
    return one["curve"] == two["curve"] and first.keys() == second.keys() and all(
        first[step].keys() == second[step].keys()
        and all(np.array_equal(first[step][name], second[step][name]) for name in first[step])
        for step in first
    )  # fmt: skip


def finish(recipe: Recipe, folder: Path) -> None:
    """Train to the end; a model that is there already must be this one."""
    try:
        make(recipe, folder)
    except CheckpointError:
        if (folder / RECORD).exists() or not (folder / CARD).exists():  # another process has begun, or is about to
            raise
        if card_of(folder).run != run_of(settings_of(recipe)):
            raise


def try_training(kind: str, folder: Path, rng: random.Random) -> Found:
    """A training, killed once or several times, in the company of another that would like the same folder."""
    recipe, found, (right, seconds) = RECIPES[kind], Counter[str](), reference(kind)
    codes = [killed(partial(make, recipe, folder), rng.uniform(0, 1.1 * seconds))]
    while rng.random() < 0.3:
        codes.append(killed(partial(finish, recipe, folder), rng.uniform(0, seconds)))
    if rng.random() < 0.25:  # the same folder with another setting
        begun = bool([*folder.glob(f"*{STATE}"), *folder.glob("card.json")]) if folder.exists() else False
        code = ended(forked(partial(make, other(kind), folder)))
        found["mixed"] += begun and code != REFUSED
        if not begun:
            return found + Counter(lost=code != DONE)
    if rng.random() < 0.25:  # two at once
        pair = [ended(child) for child in [forked(partial(finish, recipe, folder)) for _ in range(2)]]
        found["lost"] += FAILED in pair or DONE not in pair
    found["lost"] += ended(forked(partial(finish, recipe, folder))) != DONE
    try:
        there, card = contents(folder), card_of(folder)
    except Exception:
        return found + Counter(lost=1)
    found["mixed"] += card.run != run_of(settings_of(recipe)) or bool([*folder.glob(f"*{STATE}"), *folder.glob(RECORD)])
    if -signal.SIGKILL in codes:
        found["resumed"] += 1
        found["bitwise"] += is_same(there, right)
    return found


KINDS: dict[str, Callable[[Path, random.Random], Found]] = {
    "checkpoint": try_checkpoint,
    "run": try_run,
    "pipeline": try_pipeline,
    **{kind: partial(try_training, kind) for kind in RECIPES},
}


def trial(number: int) -> tuple[str, Found]:
    """One trial in a folder of its own."""
    torch.set_num_threads(1)
    kind = list(KINDS)[number % len(KINDS)]
    with TemporaryDirectory(prefix="kill-") as scratch:
        return kind, KINDS[kind](Path(scratch) / "m", random.Random(number))


def warm(scratch: Path) -> None:
    """Import, read and measure everything here once, so that forks need not."""
    for registry in (MODELS, ANALYSES, DATASETS, REGISTERED):
        registry.names()
    for kind, recipe in RECIPES.items():
        make(recipe, scratch / kind)
        reference(kind)
    run_pipeline(QUESTIONS, ResultStore(scratch / "store"))


def figures(size: int) -> Iterator[Figure]:
    """Kill `size` processes, in turn while they save, store, answer or train."""
    torch.set_num_threads(1)
    found, trials = {kind: Counter[str]() for kind in KINDS}, Counter[str]()
    with TemporaryDirectory(prefix="kill-runs-") as runs:
        os.environ["WORKBENCH_RUNS"] = runs
        warm(Path(runs))
        right_answers()
        with ProcessPoolExecutor(WORKERS, mp_context=get_context("fork")) as pool:
            for kind, outcome in pool.map(trial, range(size)):
                found[kind].update(outcome)
                trials[kind] += 1
    total = sum(found.values(), Counter[str]())
    for kind in KINDS:
        bad = found[kind]["lost"] + found[kind]["mixed"]
        yield Figure(f"kill.{kind}", bad, f"lost or mixed of {trials[kind]} trials", target="== 0")
    yield Figure("kill.lost", total["lost"], f"of {size} trials", target="== 0")
    yield Figure("kill.mixed", total["mixed"], f"of {size} trials", target="== 0")
    share = total["bitwise"] / total["resumed"] if total["resumed"] else 0.0
    yield Figure("kill.resumed_bitwise", share, f"of {total['resumed']} resumed trainings", target="== 1")
