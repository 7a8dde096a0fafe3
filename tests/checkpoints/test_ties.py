"""Tests of shared weights: saved once, and shared again after loading."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as read_safetensors
from torch import nn

from tests.checkpoints.networks import TinyConfig, card, change_card, tiny
from workbench.checkpoints.card import Card, DataSource
from workbench.checkpoints.store import load, save, save_step
from workbench.checkpoints.ties import ties_of
from workbench.core.errors import CheckpointError
from workbench.core.hooked import HookedModel
from workbench.core.tensor_file import pack, sha256
from workbench.training.curve import Curve
from workbench.zoo.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.mlp import MLPClassifier, MLPConfig

CURVE = Curve([1], {"train_loss": [2.0]})


def gpt(tied: bool = False) -> GPT:
    return GPT(GPTConfig(d_vocab=7, n_ctx=5, n_layers=3, d_model=8, n_heads=2, tie_embeddings=tied)).eval()


def one_matrix(model: GPT) -> None:
    model.blocks[1].attn.W_O = model.blocks[0].attn.W_O


def both_sides(model: EncoderDecoder) -> None:
    model.decoder.embed.W_E = model.encoder.embed.W_E


def equal_layers(model: MLPClassifier) -> None:
    model.blocks[1].linear.weight = model.blocks[0].linear.weight


CASES: list[tuple[str, Callable[[], HookedModel], Callable[..., None]]] = [
    ("gpt", gpt, one_matrix),
    ("gpt", lambda: gpt(tied=True), one_matrix),
    ("encoder_decoder", lambda: EncoderDecoder(EncoderDecoderConfig(d_vocab=7, n_ctx=5, d_model=8)).eval(), both_sides),
    ("mlp", lambda: MLPClassifier(MLPConfig(4, (4, 4), 2)).eval(), equal_layers),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "make", "share"), CASES)
def test_shared_weights_come_back_shared(
    models: Path, architecture: str, make: Callable[[], HookedModel], share: Callable[[HookedModel], None]
) -> None:
    model = make()
    share(model)
    saved = save(models / "m", model, Card(architecture, "none", DataSource("x", "ab"), 0, run="r"), CURVE)
    save_step(models / "m", model, 3, "r")
    assert saved.parameters == sum(p.numel() for p in model.parameters())
    for loaded in (load("m"), load("m", step=3)):
        inputs = model.example(2)
        assert torch.equal(output(loaded, inputs), output(model, inputs))
        assert ties_of(loaded) == ties_of(model) != {}
        alias, owner = next(iter(ties_of(loaded).items()))
        parameters = dict(loaded.named_parameters(remove_duplicate=False))
        assert parameters[alias] is parameters[owner]


def output(model: HookedModel, inputs: object) -> torch.Tensor:
    return model(inputs)


def test_weights_that_the_architecture_shares_and_this_model_does_not_come_back_apart(models: Path) -> None:
    model = tiny(cfg=TinyConfig(mode="tied"))
    model.again.weight = nn.Parameter(model.again.weight.detach() + 1)
    save(models / "tiny", model, card(), CURVE)
    loaded = load("tiny")
    assert torch.equal(loaded.again.weight, model.again.weight) and ties_of(loaded) == {}
    assert torch.equal(loaded.layers[0].linear.weight, model.layers[0].linear.weight)


def test_weights_of_an_earlier_version_are_shared_as_the_architecture_shares_them(models: Path) -> None:
    save(models / "tiny", tiny(cfg=TinyConfig(mode="tied")), card(), CURVE)
    path = models / "tiny" / "weights.safetensors"
    older = pack(read_safetensors(path.read_bytes()), {})
    path.write_bytes(older)
    change_card(models / "tiny", lambda text: json.dumps(json.loads(text) | {"weights_sha256": sha256(older)}))
    assert ties_of(load("tiny")) == {"again.weight": "layers.0.linear.weight"}


def test_a_matrix_and_its_transpose_are_refused_when_saving(models: Path) -> None:
    model = MLPClassifier(MLPConfig(4, (4, 4), 2)).eval()
    model.blocks[1].linear.weight = nn.Parameter(model.blocks[0].linear.weight.detach().T)
    with pytest.raises(CheckpointError, match=r"'blocks.0.linear.weight' and 'blocks.1.linear.weight' share memory in"):
        save(models / "m", model, Card("mlp", "none", DataSource("x", "ab"), 0), CURVE)


def test_weights_that_do_not_fit_the_config_are_refused_when_saving(models: Path) -> None:
    model = MLPClassifier(MLPConfig(4, (4,), 2)).eval()
    model.blocks[0].linear = nn.Linear(4, 4, bias=False)
    with pytest.raises(CheckpointError, match=r"'blocks.0.linear.bias' of this MLPClassifier is absent, and \(4,\) in"):
        save(models / "m", model, Card("mlp", "none", DataSource("x", "ab"), 0), CURVE)


def test_files_without_shared_weights_say_nothing_of_them(models: Path) -> None:
    save(models / "tiny", tiny(), replace(card(), run="r"), CURVE)
    assert b"tied" not in (models / "tiny" / "weights.safetensors").read_bytes()
