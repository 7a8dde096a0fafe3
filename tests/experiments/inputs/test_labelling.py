"""Tests of pairs to label: seeds, random positions, and the stored judgements."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core.errors import InputError
from workbench.data.text.preferences import read
from workbench.experiments.inputs import labelling
from workbench.experiments.inputs.labelling import Shown, agreement, judge, labels_file, pair_to_judge, tells_tales

KIND, PLAIN = "Ada comforted the orphan.", "Ada went on working."


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))


def test_equal_numbers_show_equal_pairs() -> None:
    pair = pair_to_judge("tales_gpt", 3, 0)
    labelling._pair_to_judge.cache_clear()
    assert pair_to_judge("tales_gpt", 3, 0) == pair
    assert pair_to_judge("tales_gpt", 4, 0) != pair and pair_to_judge("tales_gpt", 3, 1) != pair
    assert pair.prompt.startswith("Tell of ") and pair.left != pair.right


def test_chance_decides_which_tale_stands_on_the_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two:
        tales = ("first", "second")

    monkeypatch.setattr(labelling, "sample_tales", lambda *_: Two)
    pairs = [pair_to_judge("tales_gpt", i, 77) for i in range(100)]
    assert 35 < sum(pair.swapped for pair in pairs) < 65
    assert all((pair.left == "second") == pair.swapped for pair in pairs)


def test_a_judgement_is_kept_with_all_that_was_seen() -> None:
    pair = Shown("tales_gpt", 5, 2, "Tell of Ada, an old fox, and an egg.", KIND, PLAIN, True)
    judge(pair, "left", " Grace ")
    judge(pair, "equal", "")
    first, second = read(labels_file("tales_gpt"))
    assert (first.left, first.right, first.chosen, first.swapped) == (KIND, PLAIN, "left", True)
    assert (first.pair, first.seed, first.model, first.annotator) == (5, 2, "tales_gpt", "Grace")
    assert second.annotator == "anonymous"


def test_agreement_counts_pairs_that_the_simulated_annotator_tells_apart() -> None:
    start = "Once there was an old fox named Ada. She bought an egg one Sunday. Then an orphan asked for bread. "
    end = " And that was the end of the matter."
    prompt = "Tell of Ada, an old fox, and an egg."
    better, worse = start + KIND + end, start + PLAIN + end
    for left, right, chosen in ((better, worse, "left"), (better, worse, "right"), (better, better, "left")):
        judge(Shown("tales_gpt", 0, 0, prompt, left, right, False), chosen, "me")  # type: ignore[arg-type]
    assert agreement(read(labels_file("tales_gpt"))) == (1, 2)


def test_a_model_of_something_else_tells_no_tales() -> None:
    assert not tells_tales("digits_mlp") and not tells_tales("tales_reward")
    with pytest.raises(InputError, match="digits_mlp tells no tales"):
        pair_to_judge("digits_mlp", 0, 0)
