"""Answers of scripts that read values of their own, each asked in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, threading, torch, workbench
from workbench.core.registry import ANALYSES
from workbench.experiments.run import answer
from workbench.experiments.questions.spec import Spec
from workbench.analysis.ablation import Ablation
FACTOR = float(sys.argv[1])
LOCK = threading.Lock()
@ANALYSES.register("of_a_script")
def of_a_script(model, inputs) -> Ablation:
    '''Mine.

    Args:
        model: Any.
        inputs: Inputs.
    '''
    with torch.no_grad():
        y = model(inputs)
    return Ablation("h", "unit", "zero", FACTOR + 0 * y[:, 0], y.T)
def ask():
    found = answer(Spec("digits", "of_a_script", "test:0:1"))
    print(found.result.baseline.item(), found.computed)
if __name__ == "__main__":
    ask()
"""
LOCKED = SCRIPT.replace("FACTOR + 0", "(LOCK is not None) * FACTOR + 0")
AGAIN = SCRIPT + "FACTOR = 5.0\nask()\n"


def ask_in_process(text: str, argument: str, from_file: Path | None) -> list[str]:
    place = ["-c", text] if from_file is None else [str(from_file)] if from_file.suffix else ["-"]
    done = subprocess.run(
        [sys.executable, *place, argument], input=text, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_script_answers_by_what_it_was_started_with(workspace: Path) -> None:
    file = workspace / "study.py"
    file.write_text(AGAIN)
    os.utime(file, (1e9, 1e9))
    asked = [ask_in_process(AGAIN, factor, file) for factor in ("1", "2", "1")]
    assert asked == [["1.0 True", "5.0 True"], ["2.0 True", "5.0 False"], ["1.0 False", "5.0 False"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", [None, "-"])
def test_a_program_without_a_file_answers_by_its_values(workspace: Path, name: str | None) -> None:
    place = None if name is None else Path(name)
    assert [line.split()[0] for line in ask_in_process(AGAIN, "1", place)] == ["1.0", "5.0"]


@pytest.mark.slow
def test_an_answer_that_reads_a_lock_is_computed_each_time(workspace: Path) -> None:
    file = workspace / "locked.py"
    file.write_text(LOCKED)
    assert [ask_in_process(LOCKED, "1", file) for _ in range(2)] == [["1.0 True"], ["1.0 True"]]
