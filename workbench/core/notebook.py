"""Display of results in a notebook or a console: the figure, and a text of at most five lines."""

from __future__ import annotations

import reprlib
import textwrap
from dataclasses import fields
from typing import Any

from workbench.core.registry import VIEWS

LINES, WIDTH = 5, 110
"""Size of the text of a result."""


def write_fields(result: Any) -> str:
    """Write the fields of a result in a few lines: the type and the axes of tensors, the first members of sequences."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    short.maxtuple = short.maxlist = short.maxdict = 3
    parts = []
    for f in fields(result):
        value = getattr(result, f.name)
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            parts.append(f"{f.name}={write_tensor(result, f.name, value)}")
        elif f.name != "labels":
            parts.append(f"{f.name}={short.repr(value)}")
    text = " ".join(f"{type(result).__name__}({', '.join(parts)})".split())
    return "\n".join(textwrap.wrap(text, WIDTH, max_lines=LINES, placeholder=" ...)", subsequent_indent="    "))


def write_tensor(result: Any, name: str, value: Any) -> str:
    """Write the type and the named axes of a tensor, `float32[unit 4, batch 8]`."""
    from workbench.core.coordinates import name_dims  # imports torch, which a curve does without

    sizes = ", ".join(f"{dim} {n}" for dim, n in zip(name_dims(result, name), value.shape, strict=True))
    return f"{str(value.dtype).removeprefix('torch.')}[{sizes}]"


def show_in_notebook(result: Any, include: object = None, exclude: object = None) -> dict[str, Any]:
    """Return the figure for a notebook, and the text for a console."""
    return VIEWS["notebook"](result)
