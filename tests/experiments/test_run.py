"""Tests of running analyses and reading back stored results, with failures, threads and processes."""

import json
import shutil
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from tests.experiments.tiny_models import Share, calls
from workbench.checkpoints.store import load
from workbench.core.errors import Cancelled, CheckpointError, InputError, UnknownNameError, WorkbenchError
from workbench.core.registry import ANALYSES, DATASETS
from workbench.experiments import computing
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import answer, catalog, full_key, loaded, read, run, run_analysis
from workbench.experiments.store.changes import UNRECORDED
from workbench.experiments.store.results import ResultStore

SPEC = Spec("digits", "share", "test:0:4", parameters={"factor": 2.0})


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def statuses() -> dict[str, str]:
    runs = ResultStore().runs()
    return dict(zip(runs["key"], runs["status"], strict=True))


def test_the_result_is_that_of_the_analysis_called_by_hand() -> None:
    data, model = DATASETS["digits"](), load("digits")
    logits = model(data.test_inputs[:4])
    expected = 2 * logits.gather(1, data.test_targets[:4, None])[:, 0]
    result = run(SPEC)
    assert isinstance(result, Share) and result.names == ("a", "b")
    torch.testing.assert_close(result.value, expected.detach())


def test_what_is_stored_is_not_computed_again() -> None:
    first, again = run(SPEC), run(SPEC)
    assert len(calls) == 1 and torch.equal(first.value, again.value) and first.names == again.names
    run(Spec("digits", "share", "test:0:4", "", "logit", {"factor": 2, "names": ("a", "b")}))
    assert len(calls) == 1
    run(Spec("digits", "share", "test:0:4", parameters={"factor": 3.0}))
    assert len(calls) == 2


def test_a_stored_result_reads_back_without_its_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result, key = run(SPEC), SPEC.key
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path / "nothing"))
    assert torch.equal(read(key).value, result.value) and torch.equal(read(key[:6]).value, result.value)


def test_the_catalog_says_what_was_asked_and_how_it_was_computed() -> None:
    run(SPEC)
    row = catalog().iloc[0]
    assert row["model"] == "digits" and row["analysis"] == "share" and row["inputs"] == "test:0:4"
    assert row["parameters"]["factor"] == 2.0 and row["seconds"] >= 0 and row["version"]
    assert statuses() == {SPEC.key: "done"}


def test_a_key_must_be_one_of_those_stored() -> None:
    run(SPEC)
    with pytest.raises(UnknownNameError):
        full_key("zzzz", ResultStore())
    keys = [run_key(factor) for factor in range(20)]
    twice = next(a[0] for a in keys if sum(b[0] == a[0] for b in keys) > 1)
    with pytest.raises(CheckpointError, match="Write more of it"):
        full_key(twice, ResultStore())


def run_key(factor: float) -> str:
    spec = Spec("digits", "share", "test:0:1", parameters={"factor": factor})
    run(spec)
    return spec.key


def test_a_failure_is_kept_with_its_reason_and_nothing_else_is() -> None:
    spec = Spec("digits", "share", parameters={"factor": 1, "mode": "broken"})
    with pytest.raises(InputError, match="broken"):
        run(spec)
    assert statuses() == {spec.key: "failed"} and not ResultStore().has(spec.key)
    assert ResultStore().runs()["error"][0] == "This mode is broken."


def test_a_run_that_is_cancelled_stores_nothing_and_can_be_run_again() -> None:
    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run(SPEC, stop)
    assert statuses() == {SPEC.key: "cancelled"} and not ResultStore().has(SPEC.key)
    run(SPEC)
    assert statuses() == {SPEC.key: "done"}


def test_somebody_else_can_cancel_through_the_catalog() -> None:
    def other_process(done: int, total: int) -> None:
        ResultStore().cancel(SPEC.key)

    with pytest.raises(Cancelled):
        run(SPEC, other_process)


def test_progress_reaches_the_caller() -> None:
    seen: list[tuple[int, int]] = []
    run(SPEC, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("name", ["digits", "text", "policy"])
def test_a_model_of_any_kind_has_usual_inputs(name: str) -> None:
    if name == "policy":
        assert run_analysis("gap", name, "rollout:0:4", "rollout:1:4", "value").value.shape == (4,)
    else:
        assert run_analysis("gap", name).value.abs().sum() > 0


def test_parameters_stand_beside_the_other_arguments() -> None:
    assert torch.equal(run_analysis("share", model="digits", inputs="test:0:4", factor=2).value, run(SPEC).value)
    with pytest.raises(UnknownNameError, match="Did you mean 'factor'"):
        run_analysis("share", model="digits", facter=2)
    assert len(calls) == 1


def test_the_models_own_choice_stands_in_for_a_missing_label() -> None:
    spec = Spec("text", "share", "text:The king", metric="correct", parameters={"factor": 1})
    assert run(spec).value.tolist() == [1.0]


def test_threads_that_want_one_model_get_the_same_one() -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(loaded("digits"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(model) for model in found}) == 1


@dataclass(frozen=True)
class Stretched:
    """`Share` in a version that has another field."""

    value: Float[Tensor, " batch"]
    names: tuple[str, ...]
    factor: float


@pytest.mark.parametrize("classes", [{}, {"Share": Stretched}], ids=["unknown class", "another field"])
def test_a_stored_answer_that_cannot_be_read_is_computed_again(classes: dict[str, type]) -> None:
    first, key = run(SPEC), SPEC.key
    other = ResultStore(classes=classes)
    with pytest.raises(WorkbenchError):
        other.get(key)
    found = answer(SPEC, store=other)
    assert found.computed and found.because == ("the stored answer cannot be read",) and len(calls) == 2
    assert torch.equal(found.result.value, first.value) and torch.equal(run(SPEC).value, first.value)
    assert len(calls) == 2


def test_an_answer_of_a_store_from_before_is_computed_again_and_stays_readable() -> None:
    first, spec = run(SPEC), SPEC.complete()
    store = ResultStore()
    store.delete(SPEC.key)
    store.put("of-an-older-version", first, asdict(spec), {})
    found = answer(SPEC)
    assert found.computed and found.because == (UNRECORDED,) and len(calls) == 2
    assert torch.equal(read("of-an").value, first.value)


def test_an_older_answer_says_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(SPEC).because == () and not answer(SPEC).computed
    monkeypatch.setattr(torch, "__version__", "99.0")
    because = answer(SPEC).because
    assert len(because) == 1 and because[0].startswith("torch ") and "-> 99.0" in because[0]
    assert answer(replace(SPEC, inputs="test:0:5")).because == (), "another question"


def test_a_network_that_changes_before_it_is_loaded_stores_nothing(
    here: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_models, here / "models")
    monkeypatch.setenv("WORKBENCH_MODELS", str(here / "models"))
    plain = computing.loaded

    def loaded_after_another_training(name: str) -> object:
        card = json.loads((path := here / "models" / name / "card.json").read_text())
        card["config"]["activation"] = "tanh"
        card.pop("file_sha256", None)  # a change that somebody confirms
        path.write_text(json.dumps(card))
        return plain(name)

    monkeypatch.setattr(computing, "loaded", loaded_after_another_training)
    with pytest.raises(CheckpointError, match="activation relu -> tanh.*Run it again"):
        run(SPEC)
    assert ResultStore().entries() == [] and not calls


def test_threads_that_ask_the_same_compute_it_once() -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(run(SPEC))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and len(found) == 4 and all(torch.equal(f.value, found[0].value) for f in found)


def test_who_waits_for_another_thread_can_be_cancelled_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, stop = threading.Event(), threading.Event()

    def slow(done: int, total: int) -> None:
        begun.set()
        stop.wait(20)

    found: list[Any] = []
    first = threading.Thread(target=lambda: found.append(run(SPEC, slow)))
    first.start()
    assert begun.wait(20)

    def impatient(done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run(SPEC, impatient)
    stop.set()
    first.join()
    assert len(found) == 1 and statuses() == {SPEC.key: "done"}


def test_an_analysis_loads_no_model_that_its_answer_could_not_be_keyed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    def sneaky(model: Any, inputs: Any, load: Any, other: str = "policy") -> Share:
        load("text")
        return Share(torch.zeros(1), ())

    monkeypatch.setitem(ANALYSES._items, "sneaky", sneaky)
    with pytest.raises(InputError, match="loads 'text', which none of its parameters names"):
        run(Spec("digits", "sneaky", "test:0:2"))


WRITER = """
import sys
from tests.experiments.tiny_models import share
from workbench.core.registry import ANALYSES
from workbench.experiments.run import run
from workbench.experiments.questions.spec import Spec
ANALYSES.register("share")(share)
sys.stdout.write(str(run(Spec("digits", "share", "test:0:4", parameters={"factor": 2.0})).value.tolist()))
"""


@pytest.mark.slow
def test_two_processes_that_compute_one_result_both_get_it() -> None:
    root = Path(__file__).parents[2]
    both = [subprocess.Popen([sys.executable, "-c", WRITER], cwd=root, stdout=subprocess.PIPE) for _ in range(2)]
    texts = [process.communicate(timeout=250)[0] for process in both]
    assert texts[0] == texts[1] == str(run(SPEC).value.tolist()).encode() and not calls
    assert len(catalog()) == 1 and statuses() == {SPEC.key: "done"}
