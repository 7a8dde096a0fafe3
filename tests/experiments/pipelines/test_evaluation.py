"""Tests that the weights reproduce the metrics on their cards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DATA_FILES, missing_data
from workbench.checkpoints.card import Score, models_folder, names, read_card
from workbench.cli import status
from workbench.core.errors import DataError
from workbench.experiments.pipelines.evaluation import Agreement, evaluate, record_intervals

QUICK = [name for name in names() if name in {
    "cartpole_ppo", "digits_mlp", "frozenlake_q", "induction_gpt", "mnist_mlp", "modular_addition_gpt", "shapes_cnn",
}]  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_a_committed_network_is_as_good_as_its_card_says(name: str) -> None:
    if read_card(name).data.name in DATA_FILES and (reason := missing_data(read_card(name).data.name)):
        pytest.skip(reason)
    found = evaluate(name)
    assert found and all(one.holds for one in found), found


@pytest.mark.parametrize(
    ("card", "now", "holds"),
    [
        (Score(0.9, 100, (0.8, 0.95)), 0.81, True),
        (Score(0.9, 100, (0.8, 0.95)), 0.96, False),
        (Score(1.0, 100, (0.9, 0.99999)), 1.0, True),
        (Score(-13.0, 1), -13.1, True),
        (Score(-13.0, 1), -13.2, False),
        (Score(0.0, 1), 0.0, True),
    ],
)
def test_scores_agree_within_the_cards_interval_or_one_per_cent(card: Score, now: float, holds: bool) -> None:
    assert Agreement("metric", card, Score(now, 100)).holds is holds


@pytest.mark.parametrize(
    ("metric", "card", "now", "holds"),
    [
        ("test_loss", 0.18592, 0.21626, False),
        ("test_loss", 0.18592, 0.18593, True),
        ("test_accuracy", 0.98, 0.97, False),
        ("test_accuracy", 0.98, 0.979, True),
        ("return_mean", 0.98, 0.97, True),
    ],
)
def test_the_same_rows_give_the_same_score_up_to_rounding(metric: str, card: float, now: float, holds: bool) -> None:
    scores = (Score(value, 1000, (value - 0.05, value + 0.05)) for value in (card, now))
    assert Agreement(metric, *scores, tolerance=0.001).holds is holds


def test_a_network_with_another_activation_disagrees_with_its_card(altered: Path) -> None:
    rewrite(altered, {"activation": "gelu"}, "config")
    assert [one.metric for one in evaluate("digits_mlp") if not one.holds] == ["test_loss"]


def test_a_sampled_score_agrees_within_what_chance_explains() -> None:
    """Two means of 100 numbers of deviation 1 differ by up to 1.96 * sqrt(2) / 10 in 95 of 100 cases."""
    half = 1.96 / 10
    for gap, holds in ((0.27, True), (0.29, False), (-0.27, True), (-0.29, False)):
        now = Score(1 + gap, 100, (1 + gap - half, 1 + gap + half))
        assert Agreement("metric", Score(1.0, 100, (1 - half, 1 + half)), now).holds is holds
        assert Agreement("metric", Score(1.0, 100), now).holds is holds  # the card's interval is taken to be as wide
    assert Agreement("metric", Score(1.0, 25), Score(1.43, 100, (1.43 - half, 1.43 + half))).holds  # fewer: wider
    assert Agreement("metric", Score(1.0, 100), Score(1.29, 100, (1.29 - half, 1.29 + half)), of=20).holds


def test_chance_makes_one_comparison_in_twenty_disagree_however_many_metrics_it_has() -> None:
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(400):
        one, two = rng.standard_normal((2, 20, 50))
        pairs = zip(map(normal_score, one), map(normal_score, two), strict=True)
        wrong += not all(Agreement("m", first, second, of=20).holds for first, second in pairs)
    assert 0.02 < wrong / 400 < 0.12


def normal_score(values: np.ndarray) -> Score:
    half = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    return Score(values.mean(), len(values), (values.mean() - half, values.mean() + half))


@pytest.fixture
def altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of digits_mlp, alone in a folder of models; returns its card."""
    shutil.copytree(models_folder() / "digits_mlp", tmp_path / "digits_mlp")
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path))
    return tmp_path / "digits_mlp" / "card.json"


def rewrite(path: Path, change: dict[str, object], *place: str) -> None:
    card = json.loads(path.read_text())
    part = card
    for name in place:
        part = part[name]
    part.update(change)
    card.pop("file_sha256", None)
    path.write_text(json.dumps(card))


def test_a_card_that_promises_too_much_is_found_out(altered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["evaluate", "digits_mlp"]) == 0
    rewrite(altered, {"value": 0.999, "interval": [0.998, 1.0]}, "metrics", "test_accuracy")
    assert status(["evaluate", "digits_mlp"]) == 1
    assert "DISAGREES" in capsys.readouterr().out


def test_other_data_than_the_cards_are_refused(altered: Path) -> None:
    rewrite(altered, {"sha256": "0" * 64}, "data")
    with pytest.raises(DataError, match="is not the data of digits_mlp"):
        evaluate("digits_mlp")


def test_intervals_that_a_card_lacks_are_added_from_a_measurement_and_its_values_stay(
    altered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_card("digits_mlp")
    rewrite(altered, {"interval": None}, "metrics", "test_accuracy")
    assert status(["evaluate", "digits_mlp", "--record"]) == 0
    after = read_card("digits_mlp")
    assert after.metrics == before.metrics
    assert after.note.startswith("Intervals of test_accuracy were measured later (commit ")
    assert "Added to the card: intervals of test_accuracy" in capsys.readouterr().out
    assert record_intervals("digits_mlp", evaluate("digits_mlp")) == []
