"""What the cards say is what the weights do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import DATA_FILES, missing_data
from workbench.checkpoints.card import Score, models_folder, names, read_card
from workbench.cli import status
from workbench.core.errors import DataError
from workbench.experiments.evaluation import Agreement, evaluate

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
