"""Tests of user images: fitting, colours, transparency, damage and size limits."""

import io
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from workbench.core.errors import InputError
from workbench.data.images.user_images import read_image


def saved(image: Image.Image, kind: str = "PNG", frames: tuple[Image.Image, ...] = ()) -> bytes:
    stream = io.BytesIO()
    if frames:
        image.save(stream, kind, save_all=True, append_images=frames)
    else:
        image.save(stream, kind)
    return stream.getvalue()


def png_of_zeros(width: int, height: int) -> bytes:
    """A whole grey PNG of any size, a thousand times smaller than its pixels."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@given(channels=st.sampled_from([1, 3]), height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_picture_of_the_right_shape_comes_back_pixel_by_pixel(
    channels: int, height: int, width: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)
    content = saved(Image.fromarray(pixels.squeeze(2) if channels == 1 else pixels))
    image = read_image(content, (channels, height, width))
    assert torch.equal(image, torch.from_numpy(pixels.transpose(2, 0, 1)).float() / 255)
    assert torch.equal(read_image(content, (channels, height, width), fit=True), image)


def test_a_path_is_read_like_an_upload(tmp_path: Path) -> None:
    (tmp_path / "grey.png").write_bytes(saved(Image.new("L", (8, 8), 51)))
    for path in (tmp_path / "grey.png", str(tmp_path / "grey.png")):
        assert torch.equal(read_image(path, (1, 8, 8)), torch.full((1, 8, 8), 0.2))


def test_the_middle_is_kept_when_a_picture_is_fitted() -> None:
    image = Image.new("RGB", (30, 10), "red")
    image.paste("blue", (10, 0, 20, 10))
    fitted = read_image(saved(image), (3, 5, 5), fit=True)
    torch.testing.assert_close(fitted.mean((1, 2)), torch.tensor([0.0, 0.0, 1.0]), atol=0.05, rtol=0)


def test_colour_is_turned_to_grey_and_grey_to_colour_when_fitted() -> None:
    assert read_image(saved(Image.new("RGB", (8, 8), "white")), (1, 8, 8), fit=True).min() == 1
    assert torch.equal(read_image(saved(Image.new("L", (8, 8), 51)), (3, 8, 8), fit=True), torch.full((3, 8, 8), 0.2))


def test_what_is_transparent_becomes_black_when_fitted() -> None:
    image = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (0, 0, 8, 4))
    fitted = read_image(saved(image), (1, 8, 8), fit=True)
    assert fitted[0, 0].min() == 1
    assert fitted[0, 7].max() == 0


def test_of_the_two_pictures_in_a_photo_of_a_telephone_the_first_is_read() -> None:
    photo = saved(Image.new("RGB", (8, 8), "white"), "MPO", frames=(Image.new("RGB", (4, 4), "black"),))
    assert Image.open(io.BytesIO(photo)).n_frames == 2
    assert read_image(photo, (3, 8, 8)).min() > 0.99


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"not an image at all", "not a picture that can be read.*PNG"),
        (b"%PDF-1.7\n", "not a picture"),
        (saved(Image.new("L", (9, 8))), "9 x 8 pixels .*needs 8 x 8"),
        (saved(Image.new("RGB", (8, 8))), "mode RGB; this model needs grey"),
        (saved(Image.new("RGBA", (8, 8))), "mode RGBA; this model needs grey"),
        (saved(Image.effect_noise((8, 8), 50))[:-40], "cut short or damaged"),
        (saved(Image.effect_noise((64, 64), 50), "JPEG")[:-400], "cut short or damaged"),
        (saved(Image.new("L", (8, 8)), "GIF", (Image.new("L", (8, 8), 9),)), "animated"),
        (saved(Image.new("L", (2001, 2000))), "2,001 x 2,000 pixels; at most 4,000,000"),
    ],
    ids=["empty", "text", "pdf", "size", "colour", "alpha", "cut png", "cut jpeg", "animated", "too large"],
)
def test_a_picture_that_does_not_do_is_refused_with_the_reason(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_image(content, (1, 8, 8))


def test_a_wrong_bit_depth_is_refused_even_when_fitted() -> None:
    with pytest.raises(InputError, match="8 bits"):
        read_image(saved(Image.fromarray(np.zeros((8, 8), np.uint16))), (1, 8, 8), fit=True)


@given(cut=st.integers(0, 3000), flip=st.integers(0, 3000))
def test_no_damage_gives_anything_but_a_picture_or_an_input_error(cut: int, flip: int) -> None:
    content = bytearray(saved(Image.effect_noise((48, 48), 50)))
    content[flip % len(content)] ^= 255
    with suppress(InputError):
        assert read_image(bytes(content[: len(content) - cut]), (1, 48, 48), fit=True).shape == (1, 48, 48)


@pytest.mark.parametrize("side", [10_000, 20_000], ids=["a hundred megapixels", "a decompression bomb"])
@pytest.mark.parametrize("fit", [False, True])
def test_a_huge_picture_is_refused_without_being_decoded(side: int, fit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    content = png_of_zeros(side, 1).replace(struct.pack(">II", side, 1), struct.pack(">II", side, side))
    content = content[:29] + struct.pack(">I", zlib.crc32(content[12:29])) + content[33:]
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    start = time.process_time()
    with pytest.raises(InputError, match="4,000,000"):
        read_image(content, (1, 8, 8), fit=fit)
    assert time.process_time() - start < 0.2


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.png", "a" * 300, "a\0b", "/dev/zero"):
        with pytest.raises(InputError, match="Give the path of a picture"):
            read_image(path, (1, 8, 8))
