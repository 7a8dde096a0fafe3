"""Tests of cards and curves: round trips, seals, damage, earlier versions and steps."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.checkpoints.networks import card, change_card, tiny
from workbench.checkpoints import card as cards
from workbench.checkpoints.store import check_parameters, load, save, save_step
from workbench.core.errors import CheckpointError, InputError, UnknownNameError, WorkbenchError
from workbench.training.curve import Curve

CURVE = Curve([1, 2], {"train_loss": [2.0, None], "validation_loss": [None, 1.5]})


def test_listing_models_and_reading_cards_does_not_import_torch() -> None:
    code = "import sys; from workbench.checkpoints.card import names; names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_card_comes_back_as_it_was_saved(models: Path) -> None:
    saved = save(models / "tiny", tiny(), card(note="a note – with a dash"), CURVE)
    assert cards.read_card("tiny") == saved
    assert saved.metrics["test_accuracy"].interval == (0.96, 0.99)
    assert saved.parameters == 4 * 3 + 3 + 2 * 3


def test_metrics_are_written_as_value_n_and_interval(models: Path) -> None:
    save(models / "tiny", tiny(), card(), CURVE)
    written = json.loads((models / "tiny" / "card.json").read_text())
    assert written["metrics"] == {"test_accuracy": {"value": 0.98, "n": 360, "interval": [0.96, 0.99]}}


def test_the_curve_comes_back_as_it_was_saved(models: Path) -> None:
    save(models / "tiny", tiny(), card(), CURVE)
    assert cards.read_curve("tiny") == CURVE
    assert json.loads((models / "tiny" / "curve.json").read_text())["step"] == [1, 2]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"step": [1], "loss": [1, 2]}', '{"step": 1}', '{"step": [1], "l": 3}']
)
def test_a_damaged_curve_is_one_clear_error(models: Path, text: str) -> None:
    save(models / "tiny", tiny(), card(), CURVE)
    (models / "tiny" / "curve.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"curve\.json"):
        cards.read_curve("tiny")


def test_only_folders_with_a_card_are_models(models: Path) -> None:
    for name in ("b_model", "a-model.2"):
        save(models / name, tiny(), card(), CURVE)
    (models / "unfinished").mkdir()
    (models / ".hidden").mkdir()
    (models / ".hidden" / "card.json").write_text("{}")
    assert cards.names() == ["a-model.2", "b_model"]


def test_without_a_folder_of_models_there_are_none(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_MODELS", str(models / "absent"))
    assert cards.names() == []


def test_an_unknown_model_is_an_error_that_offers_the_nearest(models: Path) -> None:
    save(models / "digits_mlp", tiny(), card(), CURVE)
    with pytest.raises(UnknownNameError, match=r"'digits_mpl'.*Did you mean 'digits_mlp'"):
        cards.read_card("digits_mpl")


@pytest.mark.parametrize("name", ["../tiny", "a/b", "..", ".", "", "/etc", "tiny/", "a\\b", "tiny\n", "\0", "x" * 200])
def test_a_name_stays_inside_its_folder(models: Path, name: str) -> None:
    save(models / "tiny", tiny(), card(), CURVE)
    with pytest.raises(InputError, match="cannot be the name of a model"):
        cards.read_card(name)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text[:40], "not a readable card"),
        (lambda text: "[]", "should be an object"),
        (lambda text: text.replace('"seed"', '"sead"'), "no field 'sead'. Did you mean 'seed'"),
        (lambda text: text.replace('"seed": 0', '"seed": "zero"'), "seed should be int"),
        (lambda text: text.replace('"n": 360', '"m": 360'), "no field 'm'"),
    ],
)
def test_a_damaged_card_is_one_clear_error(models: Path, change, complaint: str) -> None:
    save(models / "tiny", tiny(), card(), CURVE)
    change_card(models / "tiny", change)
    with pytest.raises(CheckpointError, match=complaint):
        cards.read_card("tiny")


def test_every_flipped_bit_of_a_card_is_noticed(models: Path) -> None:
    save(models / "tiny", tiny(), card(note="a note – with a dash"), CURVE)
    path = models / "tiny" / "card.json"
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError):
            cards.read_card("tiny")


def test_a_changed_card_is_refused_until_the_change_is_confirmed(models: Path) -> None:
    save(models / "tiny", tiny(), card(note="before"), CURVE)
    path = models / "tiny" / "card.json"
    path.write_text(path.read_text().replace("before", "after"))
    with pytest.raises(CheckpointError, match="was altered.*workbench seal tiny"):
        cards.read_card("tiny")
    assert cards.seal_card("tiny").note == "after"
    assert cards.read_card("tiny").note == "after" and load("tiny").card.note == "after"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda card: card["metrics"].update(test_loss={"value": math.nan, "n": 1, "interval": None}), "is nan of 1"),
        (lambda card: card.update(parameters=card["parameters"] + 1), "parameters, and .* as configured has"),
    ],
)
def test_a_card_with_a_false_figure_is_not_sealed(
    models: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    save(models / "tiny", tiny(), card(), CURVE)
    path = models / "tiny" / "card.json"
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))
    with pytest.raises(CheckpointError, match=said):
        cards.seal_card("tiny", check_parameters)
    assert json.loads(path.read_text())["file_sha256"] == table["file_sha256"]


def test_a_step_has_no_folder_of_its_own_and_the_error_says_what_takes_it(models: Path) -> None:
    save(models / "tiny", tiny(), card(), CURVE)
    with pytest.raises(InputError, match="workbench run ANALYSIS --model tiny@0"):
        cards.model_folder("tiny@0")
    with pytest.raises(InputError, match="finished model"):
        cards.seal_card("tiny@0")


def test_a_step_is_opened_by_its_name_and_one_that_was_not_kept_names_the_nearest(models: Path) -> None:
    kept = {step: tiny() for step in (0, 100, 250)}
    for step, model in kept.items():
        with torch.no_grad():
            next(model.parameters()).fill_(step)
        save_step(models / "tiny", model, step, "run")
    save(models / "tiny", tiny(), replace(card(), run="run"), CURVE)
    for step in kept:
        assert (next(load(f"tiny@{step}").parameters()) == step).all()
        assert cards.split_step(f"tiny@{step}") == ("tiny", step)
        assert cards.read_card(f"tiny@{step}") == cards.read_card("tiny") and cards.read_curve(f"tiny@{step}") == CURVE
    for wrong, near in (("101", 100), ("", 0), ("-1", 0), ("1e9", 0), ("999", 250), ("last", 0)):
        with pytest.raises(InputError, match=f"kept no step '{wrong}'. Did you mean tiny@{near}"):
            load(f"tiny@{wrong}")
    with pytest.raises(InputError, match="names a step already"):
        load("tiny@100", step=0)
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny'"):
        load("tniy@100")
    save(models / "bare", tiny(), card(), CURVE)
    with pytest.raises(InputError, match="kept none"):
        cards.read_card("bare@1")


def test_a_card_of_an_earlier_version_is_read_and_says_so(models: Path) -> None:
    save(models / "tiny", tiny(), card(), CURVE)

    def older(text: str) -> str:
        return json.dumps({n: v for n, v in json.loads(text).items() if n not in ("settings", "run")})

    change_card(models / "tiny", older)
    assert cards.read_card("tiny").settings == {} and cards.read_card("tiny").run == ""


def test_another_curve_than_the_one_saved_is_refused(models: Path) -> None:
    save(models / "tiny", tiny(), card(), CURVE)
    path = models / "tiny" / "curve.json"
    path.write_text(path.read_text().replace("2.0", "2.5"))
    with pytest.raises(CheckpointError, match="altered"):
        cards.read_curve("tiny")


def test_steps_are_listed_in_the_order_of_training(models: Path) -> None:
    save(models / "tiny", tiny(), replace(card(), run="r1"), CURVE)
    for step in (1000, 20, 300):
        save_step(models / "tiny", tiny(), step, "r1")
        save_step(models / "tiny", tiny(), step + 1, "r2")
    assert cards.steps("tiny") == [20, 300, 1000]


def test_the_folder_of_models_is_that_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_MODELS", raising=False)
    assert cards.models_folder() == Path(cards.__file__).resolve().parents[2] / "models"


def test_a_card_is_a_value() -> None:
    assert replace(card(), seed=1) != card() == card()


@pytest.mark.parametrize("name", [{"a": 1}, [1], None, 3, {1, 2}, b"x"])
def test_a_name_that_is_no_text_is_refused_in_a_sentence(name: object) -> None:
    with pytest.raises(WorkbenchError):
        cards.read_card(name)  # type: ignore[arg-type]
