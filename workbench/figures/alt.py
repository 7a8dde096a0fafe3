"""A sentence with the finding of a result, used as the alternative text of its figure."""

from __future__ import annotations

from typing import Any

from workbench.figures.annotated import main_tensor
from workbench.figures.by_result import by_result
from workbench.figures.numerals import short


@by_result
def describe(result: Any) -> str:
    """State the finding of a result in one sentence.

    Results without a description of their own are described by the range and the maximum of their main tensor.

    Args:
        result: Result of an analysis, a training curve, or another type with a registered description.

    Returns:
        The sentence.

    Example:
        >>> workbench.figures.alt.describe(workbench.run("statistics", model="digits_mlp", inputs="test:0:16"))
        '...'
    """
    field = main_tensor(result)
    name, x = f"{type(result).__name__}.{field.name}", field.tensor.float()
    if x.numel() == 0:
        return f"{name} is empty."
    if x.ndim == 0:
        return f"{name} is {short(x)}."
    place, index = [], int(x.nan_to_num(-float("inf")).argmax())
    for axis, size in reversed(list(zip(field.axes, x.shape, strict=True))):
        index, entry = divmod(index, size)
        place.insert(0, f"{axis} {entry}")
    low, high = (short(end) for end in x.nan_to_num().aminmax())
    return f"{name} runs from {low} to {high}, largest at {', '.join(place)}."
