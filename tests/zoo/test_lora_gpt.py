"""Tests of the GPT with adapters: equal to its base at first, then to a GPT with the merged weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from tests.checkpoints.networks import card
from workbench.checkpoints.card import Card
from workbench.checkpoints.store import WEIGHTS, load, save
from workbench.core.errors import CheckpointError, ConfigError
from workbench.core.tensor_file import unpack
from workbench.core.weights import as_matrix
from workbench.training.curve import Curve
from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.lora_gpt import ADAPTED, LoRAGPT, LoRAGPTConfig

SIZES = {"d_vocab": 11, "n_ctx": 12, "n_layers": 2, "d_model": 8, "n_heads": 2, "tie_embeddings": True}
TOKENS = torch.arange(10)[None]


def beside(gpt: GPT, rank: int = 2, base: str = "") -> LoRAGPT:
    """The GPT with adapters that change nothing yet."""
    model = LoRAGPT(LoRAGPTConfig(**SIZES, rank=rank, base=base))
    weights = gpt.state_dict()
    model.load_state_dict({name: weights[theirs] for name, theirs in model.inherited.items()}, strict=False)
    return model.eval()


def learned(model: LoRAGPT) -> LoRAGPT:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
    return model


def test_it_begins_as_the_gpt_that_it_comes_from() -> None:
    gpt = GPT(GPTConfig(**SIZES)).eval()
    assert torch.equal(beside(gpt)(TOKENS), gpt(TOKENS))


def test_afterwards_it_is_the_gpt_with_the_sums_for_weights_whose_changes_have_the_rank() -> None:
    gpt = GPT(GPTConfig(**SIZES)).eval()
    model, merged = learned(beside(gpt)), GPT(GPTConfig(**SIZES)).eval()
    weights = gpt.state_dict()
    for layer, block in enumerate(model.blocks):
        for part in ("attn", "mlp"):
            for name in (name for name in ADAPTED if hasattr(getattr(block, part), name)):
                key = f"blocks.{layer}.{part}.{name}"
                change = getattr(getattr(block, part), name) - weights[key]
                assert int(torch.linalg.matrix_rank(as_matrix(name, change.double()), rtol=1e-4)) == 2
                weights[key] = weights[key] + change
    merged.load_state_dict(weights)
    assert not torch.allclose(model(TOKENS), gpt(TOKENS))
    assert_close(model(TOKENS), merged(TOKENS))
    ours = model.merge()
    assert type(ours) is GPT and ours.cfg == gpt.cfg and not ours.training
    assert all(torch.allclose(weight, weights[name], atol=1e-6) for name, weight in ours.state_dict().items())


def test_only_the_adapters_learn() -> None:
    model = beside(GPT(GPTConfig(**SIZES)))
    taught = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert taught and all(name.endswith((".down", ".up")) for name in taught)
    assert set(taught).isdisjoint(model.inherited) and len(taught) + len(model.inherited) == len(model.state_dict())


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[GPT, LoRAGPT, Path]:
    """A stored GPT, and a stored one beside it."""
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path))
    gpt, about = GPT(GPTConfig(**SIZES)), Card("gpt", "none", card().data, 0)
    save(tmp_path / "plain", gpt, about, Curve([1], {"loss": [1.0]}))
    model = learned(beside(gpt, base="plain"))
    save(tmp_path / "adapted", model, replace(about, architecture="lora_gpt"), Curve([1], {"loss": [1.0]}))
    return gpt, model, tmp_path


def test_a_file_holds_the_adapters_alone_and_is_loaded_with_the_weights_they_were_trained_beside(
    pair: tuple[GPT, LoRAGPT, Path],
) -> None:
    _, model, folder = pair
    held = unpack((folder / "adapted" / WEIGHTS).read_bytes(), "")[0]
    assert set(held) == {name for name in model.state_dict() if name.endswith((".down", ".up"))}
    assert torch.equal(load("adapted")(TOKENS), model(TOKENS))


def test_adapters_beside_other_weights_are_refused(pair: tuple[GPT, LoRAGPT, Path]) -> None:
    _, _, folder = pair
    about, curve = Card("gpt", "none", card().data, 0), Curve([1], {"loss": [1.0]})
    save(folder / "plain", GPT(GPTConfig(**SIZES)), about, curve, overwrite=True)
    with pytest.raises(CheckpointError, match="adapted was trained beside plain with weights"):
        load("adapted")


def test_a_rank_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="Choose 1 to 8"):
        LoRAGPTConfig(**SIZES, rank=9)
