"""Tidy table of a result: one row for each entry of its main tensor."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from workbench.core.coordinates import Array, list_arrays, main_array, view_of
from workbench.figures.by_result import by_result

WIDE = 64
"""Most columns for a tensor with one axis more than the rows have."""


@by_result
def table(result: Any) -> pd.DataFrame:
    """Return a result as a data frame with one row for each entry of its main tensor.

    Columns are the axes, then every tensor on these axes or some of them; of a tensor with all of them and a further
    one, a column for each entry of that one. The names of examples and tokens and the texts of the result follow.

    Args:
        result: Result of an analysis, a training curve, or another type with a registered table.

    Returns:
        The table.

    Raises:
        InputError: If there is no tensor.

    Example:
        >>> statistics = workbench.run("statistics", model="digits_mlp", inputs="test:0:16")
        >>> list(workbench.table(statistics).columns)[:3]
        ['hook', 'mean', 'size']
    """
    main = main_array(result, rows=True)
    index = np.indices(main.tensor.shape).reshape(main.tensor.ndim, main.tensor.numel())
    where = dict(zip(main.dims, index, strict=True))
    columns: dict[str, Any] = {axis.name: pd.Index(axis.entries)[where[axis.dim]] for axis in main.axes}
    columns |= {main.name: main.tensor.numpy().flatten()}
    for array in list_arrays(result):
        if array.name not in (main.name, *columns) and not labels_axis(array):
            columns |= spread(array, where)
    for axis in main.axes:
        if axis.texts:
            name = "input" if axis.dim == "batch" else f"{axis.name} token"
            columns[name] = pd.Categorical(list(axis.texts))[where[axis.dim]]  # each text is held once
    texts = {f.name: getattr(result, f.name) for f in fields(result) if isinstance(getattr(result, f.name), str)}
    constant = {name: text for name, text in texts.items() if text and name not in (*columns, "axis")}
    rows = pd.DataFrame(columns).assign(**constant)
    if view_of(result).sort and rows[main.name].notna().any():
        return rows.dropna(subset=main.name).sort_values(main.name, ascending=False, ignore_index=True)
    return rows


def labels_axis(array: Array) -> bool:
    """Return True for a tensor with the entries of its own axis, which are in the table already."""
    return len(array.axes) == 1 and array.name in (array.dims[0], f"{array.dims[0]}s", array.axes[0].name)


def spread(array: Array, where: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns of a tensor for the index on each axis of the rows; none if it has other axes."""
    (rows,) = {len(index) for index in where.values()} or {1}
    further = [axis for axis in array.axes if axis.dim not in where]
    if not further:
        return {array.name: np.broadcast_to(array.tensor.numpy()[tuple(where[dim] for dim in array.dims)], rows)}
    if len(further) > 1 or len(further[0].entries) > WIDE or not where.keys() <= {*array.dims}:
        return {}
    entries = enumerate(further[0].entries)
    indices = {f"{array.name}_{entry}": where | {further[0].dim: np.full(rows, i)} for i, entry in entries}
    return {name: array.tensor.numpy()[tuple(index[dim] for dim in array.dims)] for name, index in indices.items()}
