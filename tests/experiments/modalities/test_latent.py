"""Tests of latent codes as inputs, their images, and metrics of an autoencoder."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from tests.zoo.small import example, small
from workbench.core.errors import InputError
from workbench.core.metrics import METRICS, Question
from workbench.core.stages import sweep
from workbench.experiments.inputs.made_images import image_hook, made_images
from workbench.experiments.inputs.reading import read_inputs


def gan() -> object:
    model = small("gan").float()
    model.card = SimpleNamespace(architecture="gan")
    return model


def test_samples_depend_on_the_seed_alone() -> None:
    model = gan()
    one = read_inputs("sample:0:5", model)
    assert one.inputs.shape == (5, 4) and len(one.labels) == 5 and one.targets is None
    assert torch.equal(one.inputs, read_inputs("sample:0:5", model).inputs)
    assert not torch.equal(one.inputs, read_inputs("sample:1:5", model, one).inputs)


def test_a_walk_moves_one_latent_of_one_code() -> None:
    model = gan()
    batch = read_inputs("walk:0:2", model)
    assert_close(batch.inputs[:, 2], torch.linspace(-3, 3, 9))
    others = batch.inputs[:, [0, 1, 3]]
    assert torch.equal(others, read_inputs("sample:0:1", model).inputs[:, [0, 1, 3]].expand(9, 3))
    assert batch.labels[0] == "latent 2 at -3.00"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample:0", "cannot be read. Write"),
        ("sample:0:0", "asks for no samples"),
        ("walk:0:4", "no latent 4"),
        ("walk:0:x", "cannot be read. Write"),
        ("test:0:3", "of kind 'latent'"),
    ],
)
def test_what_names_no_codes_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_inputs(text, gan())


@torch.no_grad()
def test_images_are_those_of_the_decoder_and_the_generator() -> None:
    vae, made = small("vae"), small("gan")
    for model, images in ((vae, vae(example(vae)).image), (made, made.generator(example(made)))):
        assert_close(torch.from_numpy(made_images(model, example(model))).permute(0, 3, 1, 2), images)
    assert image_hook(small("cnn")) is None


@torch.no_grad()
def test_metrics_of_an_autoencoder_are_the_parts_of_its_bound() -> None:
    from workbench.training.variational import compute_bound

    model = small("vae")
    images = example(model, 3)
    output = model(images)
    question, bound = Question(output, inputs=images), compute_bound(output, images)
    assert_close(METRICS["reconstruction"](question)(output), bound.log_likelihood.double(), rtol=1e-5, atol=1e-4)
    assert_close(METRICS["divergence"](question)(output), bound.divergence.double(), rtol=1e-5, atol=1e-5)
    swept = sweep(model, images, [()], METRICS["reconstruction"](question))
    assert_close(swept[0], METRICS["reconstruction"](question)(output))
    for name in ("reconstruction", "divergence"):
        with pytest.raises(InputError, match="is not an autoencoder"):
            METRICS[name](Question(torch.zeros(2, 3), inputs=images))(torch.zeros(2, 3))
