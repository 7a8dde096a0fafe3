"""Inputs of the reader's own become the texts that the command line takes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from app import own_inputs, shown
from app.questions import destination
from workbench.core.errors import InputError, UnknownNameError
from workbench.experiments.inputs import read_inputs
from workbench.experiments.run import loaded


def test_a_drawing_becomes_the_pixels_that_the_network_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(own_inputs, "use", taken.append)
    pixels = tuple(range(0, 256, 4))
    own_inputs.use_drawing(pixels, (1, 8, 8))
    batch = read_inputs(taken[0], loaded("digits_mlp"))
    np.testing.assert_allclose(batch.inputs[0].numpy(), np.array(pixels) / 255, atol=1e-6)


def test_the_same_picture_is_kept_once() -> None:
    Image.new("L", (8, 8), 9).save(stream := io.BytesIO(), "PNG")
    assert own_inputs.kept(stream.getvalue()) == own_inputs.kept(stream.getvalue())


def test_a_model_of_digits_wants_one_grey_channel() -> None:
    assert own_inputs.image_shape("digits_mlp") == (1, 8, 8)


def test_pictures_are_shown_as_the_data_set_holds_them() -> None:
    batch = read_inputs("test:0:3", loaded("digits_mlp"))
    images = shown.as_pictures("digits_mlp", batch.inputs)
    assert images.shape == (3, 8, 8, 1)
    np.testing.assert_allclose(images.reshape(3, 64), batch.inputs.numpy(), atol=1e-6)


def test_enlarging_keeps_every_pixel_a_square() -> None:
    big = shown.enlarged(np.arange(4.0).reshape(2, 2, 1), 10)
    assert big.shape == (10, 10, 1)
    assert (big[:5, :5] == 0).all() and (big[5:, 5:] == 3).all()


def test_a_site_leads_to_the_choices_that_show_it() -> None:
    expected = {"m": "digits_mlp", "hook": "blocks.0.hook_post", "unit": "5"}
    assert destination("blocks.0.hook_post[unit=5]", "digits_mlp") == expected
    assert destination("digits_mlp/blocks.0.hook_post[unit=5]", "another") == expected


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("blocks.0.hook_psot", UnknownNameError, "Did you mean 'blocks.0.hook_post'"),
        ("digits_mpl/hook_input", UnknownNameError, "Did you mean 'digits_mlp'"),
        ("blocks.0.hook_post[head=1]", UnknownNameError, "No axis named 'head'"),
        ("blocks.0.hook_post[unit=9999]", InputError, "out of range"),
        ("blocks.0.hook_post[unit]", InputError, "is not an index"),
    ],
)
def test_a_site_that_does_not_exist_is_answered_with_the_nearest(text: str, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        destination(text, "digits_mlp")
