"""Views of one example: pictures, tokens, named numbers or a line of text, for the dashboard to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})
"""Translates white space in tokens to visible characters."""


@dataclass(frozen=True, eq=False)
class PictureView:
    """A picture, as floats in 0..1 or as bytes."""

    pixels: Shaped[np.ndarray, "height width *channel"]
    alt: str
    caption: str


@dataclass(frozen=True)
class TokenView:
    """A strip of tokens, `shaded` by the strength of the activation at each position, if it has positions."""

    texts: tuple[str, ...]
    title: str = ""
    shaded: bool = True


@dataclass(frozen=True)
class NumberView:
    """A table of named numbers."""

    label: str
    names: tuple[str, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class LineView:
    """A title and a line of text."""

    label: str
    text: str


View = PictureView | TokenView | NumberView | LineView
