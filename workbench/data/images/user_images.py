"""A user's own image as input of a network, checked before it is decoded."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.reading import read_file

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
MAX_PIXELS = 4_000_000
MAX_BYTES = 64_000_000
MODES = {1: "L", 3: "RGB"}
UNDECODABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_image(
    source: bytes | Path | str, shape: tuple[int, int, int], fit: bool = False
) -> Float[Tensor, "channel height width"]:
    """Read an image as floats in 0..1 of exactly `shape` (channel, height, width).

    Images of more than 4 million pixels are refused before decoding.

    Args:
        source: Upload or path.
        shape: Shape that the network expects.
        fit: Crop the centre, resize, and convert to grey or colour, with transparency on black. Otherwise an image of
            another size or colour is refused.
    """
    content = read_bytes(source)
    image = open_image(content)
    check_size(image)
    try:
        image.load()
    except UNDECODABLE as reason:
        raise InputError(f"The picture is cut short or damaged ({reason}). Save it again.") from reason
    if fit:
        image = fit_image(image, shape)
    check_shape(image, shape)
    pixels = torch.from_numpy(np.array(image, np.uint8)).reshape(*shape[1:], shape[0])
    return pixels.permute(2, 0, 1).float() / 255  # Pillow's channels are last, torch's first


def read_bytes(source: bytes | Path | str) -> bytes:
    """Read the contents of an upload or of a file."""
    if isinstance(source, bytes):
        return source
    return read_file(source, MAX_BYTES, f"picture ({', '.join(FORMATS)})")


def open_image(content: bytes) -> Image.Image:
    """Open an image and read its header only."""
    if not content:
        raise InputError("The picture is an empty file. Choose another one.")
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            return Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as reason:
        raise InputError(
            f"The picture is too large: it may have {MAX_PIXELS:,} pixels. Make it smaller first."
        ) from reason
    except UnidentifiedImageError as reason:
        raise InputError(f"This is not a picture that can be read. Known kinds: {', '.join(FORMATS)}.") from reason
    except UNDECODABLE as reason:
        raise InputError(f"The picture's header is damaged ({reason}). Save it again.") from reason


def check_size(image: Image.Image) -> None:
    """Raise if the header announces too many pixels or frames."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"The picture is {width:,} x {height:,} pixels; at most {MAX_PIXELS:,} are taken. Make it smaller first."
        )
    try:
        # A telephone's photo may hold a second, smaller copy of itself (MPO); the first one is what was taken.
        animated = image.format != "MPO" and getattr(image, "is_animated", False)
    except UNDECODABLE as reason:
        raise InputError(f"The picture is cut short or damaged ({reason}). Save it again.") from reason
    if animated:
        raise InputError("The picture is animated. Save one of its frames as a picture.")


def check_shape(image: Image.Image, shape: tuple[int, int, int]) -> None:
    """Raise unless the image has the shape that the network expects."""
    channels, height, width = shape
    if image.size != (width, height):
        raise InputError(
            f"The picture is {image.width} x {image.height} pixels (width x height); this model needs {width} x "
            f"{height}. Resize it, or ask for it to be fitted."
        )
    if image.mode != MODES[channels]:
        kind = {"L": "grey (8 bits)", "RGB": "colour (RGB, 8 bits each)"}[MODES[channels]]
        raise InputError(
            f"The picture's pixels are of mode {image.mode}; this model needs {kind}, mode {MODES[channels]}. "
            f"Convert it, or ask for it to be fitted."
        )


def fit_image(image: Image.Image, shape: tuple[int, int, int]) -> Image.Image:
    """Crop the centre in the shape's proportions, rotate upright, resize, and convert the colours."""
    channels, height, width = shape
    if image.mode.startswith(("I", "F")):
        raise InputError(f"The picture has more than 8 bits per pixel (mode {image.mode}). Save it with 8 bits.")
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer)
    return ImageOps.fit(upright.convert("RGB").convert(MODES[channels]), (width, height), Image.Resampling.LANCZOS)
