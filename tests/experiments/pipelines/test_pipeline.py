"""Tests of pipeline files: grids, failures, interruption and errors in the file."""

import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import pytest

from tests.experiments.tiny_models import calls
from workbench.core.errors import Cancelled, ConfigError, InputError
from workbench.experiments.pipelines.pipeline import Outcome, read_pipeline, run_pipeline
from workbench.experiments.store.results import ResultStore

GRID = """
[defaults]
model = "digits"
inputs = "test:0:4"

[[runs]]
analysis = "share"
names = ["x"]
[runs.grid]
factor = [1, 2.5]
seed = [0, 1]

[[runs]]
analysis = "gap"
corrupted = "other:0"
"""


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def written(folder: Path, text: str) -> Path:
    path = folder / "pipeline.toml"
    path.write_text(text, encoding="utf-8")
    return path


def statuses() -> list[str]:
    return sorted(ResultStore().runs()["status"])


def test_a_grid_is_every_combination_of_its_values(here: Path) -> None:
    specs = read_pipeline(written(here, GRID))
    assert [(s.parameters["factor"], s.seed) for s in specs[:-1]] == list(product([1.0, 2.5], [0, 1]))
    assert all(s.parameters["names"] == ["x"] and s.model == "digits" for s in specs[:-1])
    assert specs[-1].analysis == "gap" and specs[-1].inputs == "test:0:4"


def test_each_question_is_computed_once(here: Path) -> None:
    specs = read_pipeline(written(here, GRID))
    assert [o.status for o in run_pipeline(specs).outcomes] == ["done"] * 5
    assert [o.status for o in run_pipeline(specs).outcomes] == ["stored"] * 5
    assert len(calls) == 4 and statuses() == ["done"] * 5


def test_a_question_that_fails_does_not_stop_the_others(here: Path) -> None:
    specs = read_pipeline(written(here, GRID.replace('names = ["x"]', 'mode = "broken"')))
    summary = run_pipeline(specs)
    assert len(summary.failed) == 4 and summary.outcomes[-1].status == "done"
    assert summary.rows()[0]["error"] == "This mode is broken."
    assert statuses() == ["done", *["failed"] * 4]


def test_a_stopped_pipeline_goes_on_where_it_was(here: Path) -> None:
    specs = read_pipeline(written(here, GRID))

    def stop_after_two(outcome: Outcome) -> None:
        if len(calls) == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run_pipeline(specs, finished=stop_after_two)
    assert statuses() == ["cancelled"] * 3 + ["done"] * 2
    assert [o.status for o in run_pipeline(specs).outcomes] == ["stored"] * 2 + ["done"] * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "asks nothing"),
        ("x = [", "is not TOML"),
        (f"x = {'[' * 5000}", "is not TOML: its lists and tables nest"),
        (f"x = {'9' * 5000}", "is not TOML: a number"),
        ("runs = [1]", "table .*runs.., in two pairs of brackets"),
        ("[runs]\nmodel = 'digits'", "in two pairs of brackets"),
        ("[[runs]]\nmodel = 'digits'\nanalysis = 'share'\ngrid = 3", "grid should be a table"),
        ("defaults = 3\n[[runs]]", "should be a table .defaults."),
        (GRID.replace("factor = [1, 2.5]", "factor = [2020-01-01]"), "should be a number"),
        (GRID.replace("[[runs]]", "[[run]]"), "Did you mean 'runs'"),
        (GRID.replace('"share"', '"shar"'), "run 1: .*Did you mean 'share'"),
        (GRID.replace('model = "digits"', 'model = "digts"'), "run 1: .*Did you mean 'digits'"),
        (GRID.replace('model = "digits"', ""), "needs 'model'"),
        (GRID.replace("seed = [0, 1]", "seed = 0"), "list of values for 'seed'"),
        (GRID.replace("seed = [0, 1]", "seed = []"), "list of values for 'seed'"),
        (GRID.replace("seed = [0, 1]", "sead = [0, 1]"), "run 1: No parameter named 'sead'"),
        (GRID.replace("factor = [1, 2.5]", 'factor = ["one"]'), "should be a number, not 'one'"),
    ],
)
def test_a_mistake_in_the_file_is_found_before_anything_runs(here: Path, text: str, words: str) -> None:
    with pytest.raises((ConfigError, InputError), match=words):
        read_pipeline(written(here, text))
    assert not calls


def test_a_byte_order_mark_before_a_file_changes_nothing(here: Path) -> None:
    plain = read_pipeline(written(here, GRID))
    (here / "marked.toml").write_text(GRID, encoding="utf-8-sig")
    assert read_pipeline(here / "marked.toml") == plain


def test_a_missing_file_is_an_error(here: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_pipeline(here / "nothing.toml")


SLOW = """
import sys, time
from pathlib import Path
from tests.experiments import tiny_models
from workbench.core.registry import ANALYSES
from workbench.experiments.pipelines.pipeline import read_pipeline, run_pipeline

ANALYSES.register("share")(tiny_models.share)
ANALYSES.register("gap")(tiny_models.gap)
specs = read_pipeline(Path(sys.argv[1]))

def finished(outcome):
    sys.stdout.write(outcome.status + "\\n")
    sys.stdout.flush()
    time.sleep(float(sys.argv[2]))

run_pipeline(specs, finished=finished)
"""


@pytest.mark.slow
def test_a_killed_pipeline_goes_on_where_it_was(here: Path) -> None:
    path = written(here, GRID)

    def started(pause: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SLOW, str(path), pause]
        return subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True)

    killed = started("60")
    assert killed.stdout and killed.stdout.readline() == "done\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    deadline = time.monotonic() + 300
    while statuses() != ["done", *["interrupted"] * 4] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert statuses() == ["done", *["interrupted"] * 4]
    assert started("0").communicate()[0].split() == ["stored", *["done"] * 4]


@pytest.mark.parametrize("inside", ['hook = "hidden.0"', 'parameters = {hook = "hidden.0"}'])
def test_a_value_in_a_run_and_in_its_grid_is_refused(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "twice.toml"
    path.write_text(f"""[[runs]]
analysis = "ablation"
model = "digits"
{inside}
[runs.grid]
hook = ["hidden.1"]
""")
    with pytest.raises(ConfigError, match="run 1 has 'hook' itself and in its grid"):
        read_pipeline(path)
