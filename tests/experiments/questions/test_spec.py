"""Tests of specifications: keys, round trips through JSON, and errors."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from workbench.checkpoints.card import model_folder, read_card
from workbench.checkpoints.store import load, save
from workbench.core.errors import ConfigError, InputError, UnknownNameError
from workbench.experiments.questions.spec import Spec, from_fields
from workbench.training.curve import Curve

SPEC = Spec("digits", "share", parameters={"factor": 2.0})


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def test_a_default_left_out_and_spelled_out_is_the_same_question() -> None:
    parameters = {"factor": 2, "names": ("a", "b"), "limit": None}
    assert Spec("digits", "share", "test:0:16", "", "logit", parameters, 0).key == SPEC.key == SPEC.complete().key
    assert SPEC.complete().complete() == SPEC.complete()


@pytest.mark.parametrize(
    "change",
    [{"inputs": "test:0:8"}, {"metric": "loss"}, {"seed": 1}, {"parameters": {"factor": 3}}, {"corrupted": "other:1"}],
)
def test_everything_that_matters_changes_the_key(change: dict[str, object]) -> None:
    assert replace(SPEC, **change).key != SPEC.key


def test_what_the_analysis_does_not_take_makes_no_difference() -> None:
    assert replace(SPEC, analysis="gap", parameters={}, seed=5).key == replace(SPEC, analysis="gap", parameters={}).key


def test_retraining_the_model_changes_the_key(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, model = SPEC.key, load("digits")
    monkeypatch.setenv("WORKBENCH_MODELS", str(here))
    model.readout.linear.bias.data += 1
    save(here / "digits", model, read_card_of(model), Curve([1], {}))
    assert SPEC.key != before


def read_card_of(model: object) -> object:
    return replace(model.card, weights_sha256="")  # type: ignore[attr-defined]


def test_the_content_of_a_file_counts_and_not_its_name(here: Path) -> None:
    def key(name: str, grey: int) -> str:
        Image.new("L", (8, 8), grey).save(here / name)
        return replace(SPEC, inputs=f"file:{here / name}").key

    assert key("a.png", 9) == key("b.png", 9) != key("a.png", 10)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "digit"}, UnknownNameError, "Did you mean 'digits'"),
        ({"analysis": "shar"}, UnknownNameError, "Did you mean 'share'"),
        ({"metric": "lgit"}, UnknownNameError, "Did you mean 'logit'"),
        ({"parameters": {"factr": 1}}, UnknownNameError, "Did you mean 'factor'"),
        ({"parameters": {"factor": "two"}}, ConfigError, "should be a number, not 'two'"),
        ({"parameters": {"factor": 1, "mode": "plane"}}, UnknownNameError, "Did you mean 'plain'"),
        ({"inputs": "tset:0:3"}, InputError, "Did you mean 'test'"),
        ({"inputs": "text:hello"}, InputError, "inputs are of kind 'image'"),
        ({"inputs": "test"}, InputError, "does not say which"),
        ({"seed": -1}, ConfigError, "seed should be"),
        ({"seed": 1.5}, ConfigError, "seed should be"),
    ],
)
def test_each_mistake_has_one_clear_error(change: dict[str, object], error: type, words: str) -> None:
    broken = SPEC
    for name, value in change.items():
        object.__setattr__(broken := replace(broken), name, value)
    with pytest.raises(error, match=words):
        broken.complete()


def test_json_comes_back_as_the_same_specification() -> None:
    spec = SPEC.complete()
    assert Spec.from_json(spec.to_json()) == spec and hash(Spec.from_json(spec.to_json())) == hash(spec)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "digits"}', '{"model": 1, "analysis": "share"}',
                                  '{"model": "digits", "analysis": "share", "parameters": 3}'])  # fmt: skip
def test_what_is_no_specification_is_refused(text: str) -> None:
    with pytest.raises((ConfigError, InputError)):
        Spec.from_json(text)


def test_parameters_may_stand_beside_the_other_fields() -> None:
    assert from_fields({"model": "digits", "analysis": "share", "factor": 2.0}) == SPEC


def test_the_python_call_asks_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import workbench

    asked: list[Spec] = []

    def run(analysis: str, model: str, inputs: str = "", metric: str = "logit", **parameters: object) -> None:
        asked.append(Spec(model, analysis, inputs, metric=metric, parameters=parameters))

    monkeypatch.setattr(workbench, "run", run)
    exec(SPEC.complete().as_python(), {"workbench": workbench})
    assert asked[0].key == SPEC.key


def test_the_key_is_a_name_for_a_file() -> None:
    assert len(SPEC.key) == 32 and SPEC.key.isalnum()
    assert read_card("digits").weights_sha256 and model_folder("digits").is_dir()
