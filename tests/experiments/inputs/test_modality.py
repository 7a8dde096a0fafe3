"""Tests of modalities: each network has one, found from its card, and a new one is one object."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.experiments.tiny_models import card
from workbench.checkpoints.card import names, read_card
from workbench.checkpoints.store import load
from workbench.core.errors import ConfigError, InputError
from workbench.core.registry import DATASETS, MODALITIES, MODELS
from workbench.data.images.image_data import ImageData
from workbench.experiments.inputs.batches import Batch, Request
from workbench.experiments.inputs.language import Draws, Source
from workbench.experiments.inputs.modality import (
    Modality,
    Preset,
    modalities_of,
    modality_of,
    parse_inputs,
    with_axes,
)
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.inputs.views import LineView
from workbench.experiments.run import run_analysis

OWN = {
    "digits_mlp": "image", "mnist_vae": "image", "cifar10_fast": "image", "shapes_gan": "latent",
    "shakespeare_gpt": "text", "stories_gpt_qa_lora": "text", "dates_encoder_decoder": "pair",
    "frozenlake_q": "policy", "maze_ppo": "policy",
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_a_card_tells_what_a_network_reads(name: str) -> None:
    assert modality_of(read_card(name)).name == OWN[name]


def test_every_trained_network_has_one_modality_and_every_preset_is_parsed() -> None:
    for name in names():
        own, *others = modalities_of(about := read_card(name))
        assert all(modality.gives_way for modality in others) and modality_of(about) is own
        if own.name != "text":  # whose presets need the tokenizer
            assert all(parse_inputs(preset.inputs, about)[1] in own.sources for preset in own.presets(name))


def test_vectors_without_known_data_are_rows_and_never_images() -> None:
    assert modality_of(card("mlp", "my own table")).name == "rows"
    assert modality_of(card("mlp", "digits")).name == "image"


def test_a_data_set_without_an_annotation_is_read_to_see_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DATASETS["digits"]()
    assert isinstance(data, ImageData)
    monkeypatch.setitem(DATASETS._items, "unannotated", lambda: data)
    assert modality_of(card("mlp", "unannotated")).name == "image"


def test_inputs_that_no_modality_reads_are_an_error_and_no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODELS["mlp"], "input_axes", "batch time")
    with pytest.raises(ConfigError, match=r"not none of image, latent, .* Register one for its inputs \(batch time\)"):
        modality_of(card("mlp", "digits"))


def test_two_modalities_that_claim_a_network_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rival = replace(MODALITIES["image"], name="rival")
    monkeypatch.setitem(MODALITIES._items, "rival", rival)
    with pytest.raises(ConfigError, match="not 'image' and 'rival' of"):
        modality_of(card("mlp", "digits"))


def read_ones(request: Request) -> Batch:
    """Give N vectors of ones."""
    n = request.selection.n
    return Batch(torch.ones(n, 64), None, ("ones",) * n, "vectors of ones")


def test_a_new_modality_is_one_object(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODELS["mlp"], "input_axes", "batch time")
    sound = Modality(
        "sound",
        claims=with_axes("batch time"),
        sources=(Source("ones", "ones:SEED:N", Draws, read_ones),),
        presets=lambda model: (Preset("2 sounds", "ones:0:2", "ones:1:2"),),
        show=lambda network, batch, row, hook: (LineView("a sound", batch.labels[row]),),
    )
    monkeypatch.setitem(MODALITIES._items, "sound", sound)
    model = load("digits")
    assert modality_of(model.card) is sound
    assert read_inputs("ones:0:3", model).inputs.shape == (3, 64)
    assert run_analysis("activations", "digits", hook="hook_input").values.shape == (2, 64)
    with pytest.raises(InputError, match="'rollout': its inputs are of kind 'sound'. Write ones:SEED:N"):
        read_inputs("rollout:0:3", model)
