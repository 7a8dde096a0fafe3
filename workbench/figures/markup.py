"""Removal of foreign HTML from the texts of a figure: plotly reads some HTML in every text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import plotly.graph_objects as go

FOREIGN = re.compile(r"<(?!/?(?:b|i|br|sub|sup|extra)>)")
"""Bracket that opens anything but emphasis, an index, a line break or the end of a hover text."""


def remove_foreign_markup(picture: go.Figure) -> go.Figure:
    """Return the figure without links and styles in its texts."""
    content = picture.to_plotly_json()
    data, layout = clean(content["data"]), clean(content["layout"])
    if data is content["data"] and layout is content["layout"]:
        return picture
    return go.Figure(data, layout)


def clean(value: Any) -> Any:
    """Replace foreign brackets by text; values without any are returned unchanged."""
    if isinstance(value, str):
        return FOREIGN.sub("&lt;", value) if "<" in value else value
    if isinstance(value, dict):
        made = {name: clean(entry) for name, entry in value.items()}
        return made if any(made[name] is not entry for name, entry in value.items()) else value
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        listed = value.tolist()
        return value if (made := clean(listed)) is listed else made
    if isinstance(value, list | tuple):
        entries = [clean(entry) for entry in value]
        return entries if any(one is not other for one, other in zip(entries, value, strict=True)) else value
    return value
