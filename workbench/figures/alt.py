"""Sentence with the finding of a result, also used as the alternative text of its figure."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.coordinates import main_array, name_place, view_of
from workbench.figures.by_result import by_result
from workbench.figures.numerals import short
from workbench.figures.template import fill


@by_result
def describe(result: Any) -> str:
    """State the finding of a result in one sentence.

    Results without a sentence of their own are described by the range and the maximum of their main tensor.

    Args:
        result: Result of an analysis, a training curve, or another type with a registered description.

    Returns:
        The sentence.

    Example:
        >>> workbench.figures.alt.describe(workbench.run("statistics", model="digits_mlp", inputs="test:0:16"))
        '...'
    """
    view = view_of(result)
    if view.empty and main_array(result).tensor.isnan().all():
        return fill(view.empty, result)
    if view.sentence:
        return fill(view.sentence, result)
    array = main_array(result)
    name, x = f"{type(result).__name__}.{array.name}", array.tensor.double()
    if x.numel() == 0:
        return f"{name} is empty."
    if x.ndim == 0:
        return f"{name} is {short(x)}."
    index = np.unravel_index(int(x.nan_to_num(-float("inf")).argmax()), x.shape)
    low, high = (short(end) for end in x.nan_to_num().aminmax())
    return f"{name} runs from {low} to {high}, largest at {name_place(array.axes, [int(i) for i in index])}."
