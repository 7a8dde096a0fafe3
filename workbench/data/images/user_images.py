"""A user's own picture as a network's input: checked before it is decoded, and never changed unasked."""

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
    """The picture as floats in 0..1, of exactly `shape` (channel, height, width).

    A picture of another size or colour is refused, unless `fit` asks for a crop of its middle, resized and turned
    to grey or colour, what is transparent on black. Over 4 million pixels it is refused before any is decoded.
    """
    content = read_bytes(source)
    image = opened(content)
    check_size(image)
    try:
        image.load()
    except UNDECODABLE as reason:
        raise InputError(f"The picture is cut short or damaged ({reason}). Save it again.") from reason
    if fit:
        image = fitted(image, shape)
    check_shape(image, shape)
    pixels = torch.from_numpy(np.array(image, np.uint8)).reshape(*shape[1:], shape[0])
    return pixels.permute(2, 0, 1).float() / 255  # Pillow's channels are last, torch's first


def read_bytes(source: bytes | Path | str) -> bytes:
    """The contents of an upload or of a file."""
    if isinstance(source, bytes):
        return source
    return read_file(source, MAX_BYTES, f"picture ({', '.join(FORMATS)})")


def opened(content: bytes) -> Image.Image:
    """The picture with its header read and nothing decoded."""
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
    """Raises for too many pixels or frames, by the header alone."""
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
    """Raises when the picture is not what the network takes."""
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


def fitted(image: Image.Image, shape: tuple[int, int, int]) -> Image.Image:
    """The middle of the picture in the shape's proportions, resized, upright, in the shape's colours."""
    channels, height, width = shape
    if image.mode.startswith(("I", "F")):
        raise InputError(f"The picture has more than 8 bits per pixel (mode {image.mode}). Save it with 8 bits.")
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer)
    return ImageOps.fit(upright.convert("RGB").convert(MODES[channels]), (width, height), Image.Resampling.LANCZOS)
