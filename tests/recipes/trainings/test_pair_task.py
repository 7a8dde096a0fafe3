"""Tests of encoder-decoder training on a task of one second: capital letters."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch

from workbench.checkpoints.store import load_folder
from workbench.core.registry import DATASETS
from workbench.core.source_target import SourceTarget
from workbench.data.pairs.pair_data import PairData, encode_pairs
from workbench.data.pairs.pair_tokenizer import PairTokenizer
from workbench.recipes.recipe import Recipe, make
from workbench.recipes.trainings.pair_task import PairTask, cut_at_end, generate_answers, round_weights
from workbench.training.fit import FitConfig
from workbench.zoo.encoder_decoder import EncoderDecoder, EncoderDecoderConfig

TOKENIZER = PairTokenizer(tuple("abc"), tuple("ABC"), joined=True)
TASK = PairTask("capitals", batch_size=24, token="letter", sequence="word")
SMALL = EncoderDecoderConfig(
    d_vocab=9, n_ctx=8, encoder_layers=1, decoder_layers=1, d_model=32, n_heads=2, start=1, pad=0
)


@pytest.fixture
def capitals(monkeypatch: pytest.MonkeyPatch) -> PairData:
    words = ["".join(letters) for length in (2, 3) for letters in product("abc", repeat=length)]
    texts = [(word, word.upper()) for word in words]
    parts = (encode_pairs(part, TOKENIZER) for part in (texts, texts[1::4], texts[3::4]))
    data = PairData("capitals", TOKENIZER, *parts, source="")
    monkeypatch.setitem(DATASETS._items, "capitals", lambda: data)
    return data


def test_a_recipe_learns_pairs_and_its_card_says_what_its_file_does(capitals: PairData, tmp_path: Path) -> None:
    training = FitConfig(steps=60, lr=1e-2, evaluate_every=60, log_every=20, schedule="cosine", warmup=10)
    recipe = Recipe(
        "capitals", "", "encoder_decoder", SMALL, training, TASK.train, {"word_error": 0.3}, dtype="bfloat16"
    )
    made = make(recipe, tmp_path / "m")
    assert made.metrics["letter_error"].value <= made.metrics["word_error"].value <= 0.3
    loaded = load_folder(tmp_path / "m")
    again = TASK.measure_errors(loaded, capitals.test, loaded.tokenizer)
    assert again["word_error"]["value"] == made.metrics["word_error"].value


def test_greedy_answers_are_the_likeliest_next_tokens_one_by_one(capitals: PairData) -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(SMALL).eval()
    sources = capitals.test.source[:5]
    given = generate_answers(model, sources, TOKENIZER, 4)
    target = torch.full((5, 1), TOKENIZER.ids["^"])
    for place in range(3):
        target = torch.cat([target, model(SourceTarget(sources, target))[:, -1].argmax(dim=-1)[:, None]], dim=1)
        assert torch.equal(given[:, place], target[:, place + 1])


def test_any_of_several_right_answers_is_right() -> None:
    class Parrot(torch.nn.Module):
        def generate(self, inputs: SourceTarget, n: int, sampling: object) -> torch.Tensor:
            return torch.cat([inputs.target, torch.tensor([[6, 2, 0]]).expand(len(inputs.source), -1)], dim=1)

    pairs = encode_pairs([("a", "AB"), ("a", "A"), ("b", "CC")], TOKENIZER)
    errors = TASK.measure_errors(Parrot(), pairs, TOKENIZER)
    assert errors["word_error"]["value"] == 0.5 and errors["letter_error"]["value"] == pytest.approx(2 / 3)
    assert cut_at_end([4, 5], 2) == [4, 5] and cut_at_end([4, 2, 5], 2) == [4]


def test_weights_are_rounded_to_what_the_file_holds() -> None:
    model = EncoderDecoder(SMALL)
    round_weights(model, "bfloat16")
    assert all(torch.equal(p, p.bfloat16().float()) for p in model.parameters())
