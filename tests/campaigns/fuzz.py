"""Thousands of wrong and right command lines, calls, files and links: one sentence each, soon, in little memory.

Every case runs in a process that is replaced when it dies. Work that is accepted is stopped at its first report of
progress, so that what is tried is how the workbench reads what it is given. What goes wrong is written to stderr.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from tests.bench.harness import Figure

SIZE = 10_000
SHARES = {"cli": 0.45, "api": 0.35, "toml": 0.17, "url": 0.03}
"""Of all cases; a link costs a whole page."""
MODELS = ("digits_mlp", "induction_gpt", "shapes_gan", "dates_encoder_decoder", "cartpole_dqn")
"""One network of each kind of inputs, whose data is made in code."""
ROOM = 6 * 2**30
"""Bytes of address space beyond those at the start; a case that takes them dies by a MemoryError."""
SILENCE = 90.0
"""Seconds after which a process that says nothing is stopped."""


def figures(size: int) -> Iterator[Figure]:
    """Print the number of cases of each class, and how many went wrong in each way."""
    os.environ["WORKBENCH_RUNS"] = tempfile.mkdtemp(prefix="fuzz-runs-")
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "80"}
    warm()
    for name, share in SHARES.items():
        found = Counter(kind for kind in tried(name, range(max(1, round(size * share)))))
        yield Figure(f"fuzz.{name}.cases", found.total(), "cases")
        yield Figure(f"fuzz.{name}.refused", found["refused"], "cases")
        for kind, label in (("traceback", "tracebacks"), ("hang", "hangs"), ("memory", "over_memory")):
            yield Figure(f"fuzz.{name}.{label}", found[kind], "cases", target="== 0")


def warm() -> None:
    """Import everything and load the models, so that no case pays for it."""
    from tests.fuzz import questions
    from workbench.checkpoints.provenance import commit
    from workbench.core.registry import ANALYSES, CIRCUITS, DATASETS, RECIPES
    from workbench.experiments.data_contents import data_set
    from workbench.experiments.run import loaded

    commit()
    for registry in (ANALYSES, CIRCUITS, RECIPES):
        registry.names()
    for model in MODELS:
        questions.hooks(model)
        if (data := loaded(model).card.data.name) in DATASETS:
            data_set(data)


def tried(name: str, cases: range) -> Iterator[str]:
    """What became of each case of a class."""
    left = list(cases)
    context = multiprocessing.get_context("fork")
    while left:
        receiving, sending = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(name, left, sending), daemon=True)
        worker.start()
        sending.close()
        done = 0
        try:
            while done < len(left) and receiving.poll(SILENCE):
                kind, what, detail = receiving.recv()
                yield report(name, left[done], kind, what, detail)
                done += 1
        except EOFError:
            pass
        worker.join(0.2 if done == len(left) else 0.0)
        killed = worker.exitcode is None
        worker.kill()
        worker.join()
        if done < len(left):
            kind = "hang" if killed else "traceback"
            yield report(name, left[done], kind, "", f"the process ended with {worker.exitcode}")
            done += 1
        left = left[done:]


def report(name: str, case: int, kind: str, what: str, detail: str) -> str:
    """Write what went wrong, and give back its kind."""
    if kind not in ("done", "refused"):
        sys.stderr.write(f"{kind} in {name} {case}: {what}\n{detail}\n")
    return kind


def work(name: str, cases: list[int], results: Any) -> None:
    """Run cases one after the other in a process of their own."""
    from tests.fuzz.watch import judge

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    os.chdir(folder)
    os.mkfifo(folder / "pipe")
    os.environ["WORKBENCH_RUNS"] = str(folder / "runs")
    limit = ROOM + int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    silence = os.open(os.devnull, os.O_WRONLY)
    errors = sys.stderr
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    with stopped_early():
        for case in cases:
            what, run, refusals = MAKERS[name](Random(f"{name} {case}"), folder)
            outcome = judge(run, refusals)
            torch.set_num_threads(1)
            results.send((outcome.kind, what, outcome.detail))
    errors.flush()


@contextmanager
def stopped_early() -> Iterator[None]:
    """Let no accepted command train, open a browser or compute for long."""
    import subprocess
    from contextlib import contextmanager as context

    from app import trainings
    from tests.fuzz.calls import stop_soon
    from workbench.cli import writing

    @context
    def bar(title: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
        yield stop_soon()

    writing.bar = bar  # type: ignore[assignment]
    subprocess.call = lambda *_, **__: 0  # type: ignore[assignment]
    trainings.launch = lambda *_: None  # type: ignore[assignment]
    yield


Case = tuple[str, Callable[[], Any], tuple[type[BaseException], ...]]


def cli(rng: Random, folder: Path) -> Case:
    """A command line."""
    from tests.fuzz.commands import command
    from workbench.cli import run

    tokens = command(rng, MODELS, folder)
    return repr([token[:200] for token in tokens]), partial(run, tokens), (OSError,)


def api(rng: Random, folder: Path) -> Case:
    """A call of the Python interface."""
    from tests.fuzz.calls import call

    what, run = call(rng, MODELS, folder)
    return what, run, ()


def toml(rng: Random, folder: Path) -> Case:
    """A file read as a pipeline or as a comparison, or settings."""
    from tests.fuzz.files import comparison, pipeline
    from workbench.experiments.comparison import read_plan
    from workbench.experiments.pipeline import read_pipeline

    file = folder / "file.toml"
    if rng.random() < 0.7:
        file.write_bytes(content := pipeline(rng, MODELS))
        return repr(content[:600]), partial(read_pipeline, file), ()
    file.write_bytes(content := comparison(rng))
    return repr(content[:600]), partial(read_plan, str(file)), ()


def url(rng: Random, folder: Path) -> Case:
    """A page opened by a link."""
    from tests.fuzz.links import link
    from tests.fuzz.pages import open_page

    view, choices = link(rng, MODELS)
    return f"{view} {choices}", partial(open_page, view, choices), ()


MAKERS: dict[str, Callable[[Random, Path], Case]] = {"cli": cli, "api": api, "toml": toml, "url": url}
