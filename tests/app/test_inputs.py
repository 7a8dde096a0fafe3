"""Tests of drawings, pictures and sites that a user enters on a page."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.widgets import example_view, own_input_form
from app.widgets.model_strip import destination
from tests.app.pages import from_function
from workbench.core.errors import InputError, UnknownNameError
from workbench.experiments.inputs.forms import PictureField
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.modalities.image import IMAGE
from workbench.experiments.run import loaded


def test_a_drawing_becomes_the_pixels_that_the_network_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(own_input_form, "use", taken.append)
    pixels = tuple(range(0, 256, 4))
    own_input_form.use_drawing(pixels, (1, 8, 8))
    batch = read_inputs(taken[0], loaded("digits_mlp"))
    np.testing.assert_allclose(batch.inputs[0].numpy(), np.array(pixels) / 255, atol=1e-6)


def test_a_model_of_digits_takes_one_grey_channel() -> None:
    (form,) = IMAGE.forms("digits_mlp")
    assert form.fields == (PictureField((1, 8, 8)),)


def test_pictures_are_shown_as_the_data_set_holds_them() -> None:
    batch = read_inputs("test:0:3", loaded("digits_mlp"))
    images = IMAGE.pictures(loaded("digits_mlp"), batch.inputs)
    assert images.shape == (3, 8, 8, 1)
    np.testing.assert_allclose(images.reshape(3, 64), batch.inputs.numpy(), atol=1e-6)


def test_enlarging_keeps_every_pixel_a_square() -> None:
    big = example_view.enlarge(np.arange(4.0).reshape(2, 2, 1), 10)
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


def offered(content: bytes) -> AppTest:
    """The page that offers an uploaded picture to a network for 8 x 8 digits."""

    def page(content: bytes) -> None:
        from app.widgets.own_input_form import offer_upload

        offer_upload(content, (1, 8, 8))

    return from_function(page, args=(content,)).run()


def png(width: int, height: int) -> bytes:
    Image.new("L", (width, height)).save(stream := io.BytesIO(), "PNG")
    return stream.getvalue()


def test_a_picture_of_the_right_size_is_taken_as_it_is() -> None:
    page = offered(png(8, 8))
    assert not page.exception and [button.label for button in page.button] == ["Use this picture"]


def test_a_picture_of_another_size_is_fitted_when_asked() -> None:
    page = offered(png(30, 20))
    assert not page.exception and [button.label for button in page.button] == ["Crop and resize it to 8 x 8"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty file"),
        (b"GIF? no, text", "not a picture"),
        (png(8, 8)[:40], "not a picture"),
        (png(10_000, 10_000), "10,000 x 10,000 pixels"),
    ],
    ids=["empty", "text", "truncated", "enormous"],
)
def test_what_is_no_usable_picture_gets_one_clear_error(content: bytes, said: str) -> None:
    page = offered(content)
    assert not page.exception and not page.button
    assert len(page.error) == 1 and said in page.error[0].value.replace("\\", "")
