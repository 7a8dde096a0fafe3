"""Tests of inputs of encoder-decoders: rows, prompts, and corrupted pairs."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch

from tests.experiments.tiny_models import card
from workbench.checkpoints.store import load, save
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.pairs import pronunciations
from workbench.data.pairs.pair_data import PairData, encode_pairs
from workbench.data.pairs.pair_tokenizer import PairTokenizer
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.questions.defaults import default_corrupted, default_inputs
from workbench.experiments.run import run_analysis
from workbench.experiments.store.data_contents import forget
from workbench.training.curve import Curve
from workbench.zoo.encoder_decoder import EncoderDecoder, EncoderDecoderConfig

TOKENIZER = PairTokenizer(tuple("abcd"), tuple("wxyz"), joined=True)
SPELL = dict(zip("abcd", "wxyz", strict=True))


def spelled(length: int) -> list[tuple[str, str]]:
    words = ["".join(letters) for letters in product("abcd", repeat=length)]
    return [(word, "".join(SPELL[letter] for letter in word)) for word in words]


@pytest.fixture
def model(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> HookedModel:
    parts = (encode_pairs(texts, TOKENIZER) for texts in (spelled(2), spelled(2), spelled(3) + spelled(2)))
    data = PairData("letters", TOKENIZER, *parts, source="")
    monkeypatch.setitem(DATASETS._items, "letters", lambda: data)
    monkeypatch.setenv("WORKBENCH_MODELS", str(workspace / "models"))
    forget()
    torch.manual_seed(0)
    cfg = EncoderDecoderConfig(
        d_vocab=11, n_ctx=8, encoder_layers=1, decoder_layers=1, d_model=8, n_heads=2, start=1, pad=0
    )
    about = card("encoder_decoder", "letters")
    save(workspace / "models" / "letters", EncoderDecoder(cfg), about, Curve([1], {"loss": [1.0]}), TOKENIZER)
    yield load("letters")
    forget()


def test_rows_give_all_of_the_answer_but_its_last_token_or_as_much_as_is_asked(model: HookedModel) -> None:
    batch = read_inputs("test:62:66", model)
    assert batch.labels == ("ddc => z", "ddd => z", "aa => w", "ab => w")
    assert [TOKENIZER.tokens[i] for i in batch.targets.tolist()] == ["z", "z", "w", "x"]
    assert batch.sources[2] == ("a", "a", "_") and batch.tokens[0] == ("^", "z")
    whole = read_inputs("test:known=3:0:2", model)
    assert whole.tokens[1] == ("^", "w", "w", "x") and whole.targets.tolist() == [TOKENIZER.ids["$"]] * 2
    with pytest.raises(InputError, match="known=4 is too many: the shortest answer of these rows has 3"):
        read_inputs("test:known=4:0:2", model)


def test_a_counterpart_is_the_nearest_test_source_that_goes_on_otherwise(model: HookedModel) -> None:
    clean = read_inputs("test:known=2:0:64", model)
    other = read_inputs("other:0", model, clean)
    assert torch.equal(other.inputs.target, clean.inputs.target)
    changed = other.inputs.source != clean.inputs.source
    assert bool((changed.sum(dim=1) == 1).all()) and bool(changed[:, 2].all())
    assert read_inputs("other:0", model, clean).labels == other.labels
    assert read_inputs("other:1", model, clean).labels != other.labels
    with pytest.raises(InputError, match="cannot stand alone"):
        read_inputs("other:0", model)


def test_prompts_are_sources_with_or_without_the_beginning_of_an_answer(model: HookedModel) -> None:
    batch = read_inputs("text:abc=>w||da=>z", model)
    assert batch.labels == ("abc => w", "da => z") and batch.targets is None
    assert read_inputs("text:abc", model).tokens == (("^",),)
    with pytest.raises(InputError, match="these have 1 and 2"):
        read_inputs("text:abc=>w||da=>zw", model)
    with pytest.raises(InputError, match="9 tokens are too many"):
        read_inputs("text:aaaaaaaaa", model)
    with pytest.raises(UnknownNameError, match="'e' .place 1."):
        read_inputs("text:ae", model)


def test_corrupted_prompts_need_the_same_shapes(model: HookedModel) -> None:
    clean = read_inputs("text:abc=>w", model)
    with pytest.raises(InputError, match=r"\(1, 2\) and \(1, 2\), the clean ones \(1, 3\) and \(1, 2\)"):
        read_inputs("text:ab=>w", model, clean)


def test_an_analysis_runs_on_the_usual_inputs_and_keeps_both_sequences(model: HookedModel) -> None:
    assert default_inputs("letters") == "test:0:16" and default_corrupted("letters", "test:3:5") == "other:0"
    hook = "decoder.blocks.0.cross_attn.hook_z"
    assert run_analysis("patching", "letters", inputs="test:0:4", metric="signed_logit", hook=hook).effect.shape == (
        1,
        2,
        3,
    )
    found = run_analysis("maximization", "letters", hook="encoder.blocks.0.mlp.hook_post", units=(0,), steps=2)
    assert " => " in found.texts[0]


@pytest.mark.parametrize("analysis", ["ablation", "circuit", "head_patterns"])
def test_without_the_dictionary_a_pronouncing_model_is_asked_about_typed_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, analysis: str
) -> None:
    monkeypatch.setattr(pronunciations, "PACKAGE", "no-such-dictionary")
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    words = default_inputs("g2p_encoder_decoder")
    assert words.startswith("text:cat=>K||cot=>K") and default_corrupted("g2p_encoder_decoder", words) != words
    parameters = {"hook": "encoder.blocks.0.hook_mlp_out"} if analysis == "ablation" else {}
    result = run_analysis(analysis, "g2p_encoder_decoder", **parameters)
    assert analysis != "circuit" or result.cmd < result.random_cmd
