"""The same question in three ways: a Python object, a name on the command line, and a page of the dashboard."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import workbench
from tests.bench import networks_of_others
from workbench.experiments.store.results import ResultStore
from workbench.experiments.study import Study

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Question:
    """An ablation of one network, by the function that returns it."""

    function: str
    hook: str
    opened: str
    data: str = ""
    inputs: str = ""

    @property
    def name(self) -> str:
        """Name under which it is added."""
        return f"of_others_{self.function}_{self.opened}"


QUESTIONS = (
    Question("perceptron", "1", "record"),
    Question("perceptron", "0", "wrap"),
    Question("residual", "1", "record"),
    Question("residual", "1.conv", "wrap"),
    Question("policy", "1", "record", "CartPole-v1", "rollout:0:16"),
    Question("policy", "0", "wrap", "CartPole-v1", "rollout:0:16"),
)


def agreements(questions: tuple[Question, ...] = QUESTIONS) -> Iterator[tuple[Question, bool]]:
    """Yield each question, and if all three ways give the same key and the same bits, each computed by itself."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        with environment(WORKBENCH_MODELS=str(folder / "models")):
            for question in questions:
                source = ["--from", f"{networks_of_others.__name__}:{question.function}", "--open", question.opened]
                data = ["--data", question.data] if question.data else []
                command("add", question.name, *source, *data, "--yes")
                ways = (by_object, by_command, by_page)
                answers = [way(question, folder / question.name / way.__name__) for way in ways]
                yield question, same(answers)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables of the environment inside the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def by_object(question: Question, runs: Path) -> ResultStore:
    """Ask in Python with the network itself."""
    module, example = getattr(networks_of_others, question.function)()
    model = getattr(workbench, question.opened)(module, example)
    with environment(WORKBENCH_RUNS=str(runs)):
        Study(model, question.inputs or example, environment=question.data).run("ablation", hook=question.hook)
        return ResultStore()


def by_command(question: Question, runs: Path) -> ResultStore:
    """Ask on the command line with the name."""
    inputs = ["--inputs", question.inputs] if question.inputs else []
    with environment(WORKBENCH_RUNS=str(runs)):
        command("run", "ablation", "--model", question.name, "--hook", question.hook, *inputs)
        return ResultStore()


def by_page(question: Question, runs: Path) -> ResultStore:
    """Open the page of the technique by its link, and press Run where it waits for that."""
    from app.state import jobs
    from tests.app.pages import clean, open_page

    jobs.PATIENCE = 100.0
    inputs = {"inputs": question.inputs} if question.inputs else {}
    with environment(WORKBENCH_RUNS=str(runs)):
        page = clean(open_page("ablation", {"m": question.name, "hook": question.hook, **inputs}))
        if button := next((button for button in page.button if button.label == "Run"), None):
            clean(button.click().run())
        return ResultStore()


def command(*words: str) -> None:
    """Run a command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def same(stores: list[ResultStore]) -> bool:
    """Test if stores hold one result each, of the same key and with the same bits."""
    keys = [{entry.key for entry in store.entries() if entry.result == "Ablation"} for store in stores]
    if any(len(found) != 1 or found != keys[0] for found in keys):
        return False
    tensors = [store.read(key)[1] for store in stores for key in keys[0]]
    return all(
        one.keys() == tensors[0].keys() and all(torch.equal(one[name], tensors[0][name]) for name in one)
        for one in tensors
    )
