"""Text of a user in a figure: plotly reads a little HTML in every text, of which only the marks that we use stay."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import plotly.graph_objects as go

FOREIGN = re.compile(r"<(?!/?(?:b|i|br|sub|sup|extra)>)")
"""A bracket that opens anything but emphasis, an index, a line break or the end of a hover text."""


def inert(picture: go.Figure) -> go.Figure:
    """The figure with no link or style in any text that did not come from us."""
    content = picture.to_plotly_json()
    data, layout = cleaned(content["data"]), cleaned(content["layout"])
    if data is content["data"] and layout is content["layout"]:
        return picture
    return go.Figure(data, layout)


def cleaned(value: Any) -> Any:
    """The value with foreign brackets as text; the same object where there are none."""
    if isinstance(value, str):
        return FOREIGN.sub("&lt;", value) if "<" in value else value
    if isinstance(value, dict):
        made = {name: cleaned(entry) for name, entry in value.items()}
        return made if any(made[name] is not entry for name, entry in value.items()) else value
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        listed = value.tolist()
        return value if (made := cleaned(listed)) is listed else made
    if isinstance(value, list | tuple):
        entries = [cleaned(entry) for entry in value]
        return entries if any(one is not other for one, other in zip(entries, value, strict=True)) else value
    return value
