"""A result as a tidy table: one row for each entry of its main tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from workbench.figures.annotated import list_tensors, main_tensor
from workbench.figures.by_result import by_result


@by_result
def table(result: Any) -> pd.DataFrame:
    """Any result as a data frame: a column for each axis of the main tensor, one for it and for all that fit it."""
    main = main_tensor(result)
    columns = {}
    for field in list_tensors(result):
        if set(field.axes) <= set(main.axes) and len(set(field.axes)) == len(field.axes):
            order = [field.axes.index(axis) for axis in main.axes if axis in field.axes]
            shape = [field.tensor.shape[field.axes.index(a)] if a in field.axes else 1 for a in main.axes]
            columns[field.name] = field.tensor.permute(order).reshape(shape)
    return examples(frame(main.axes, columns))


def frame(axes: Sequence[str], columns: Mapping[str, Tensor]) -> pd.DataFrame:
    """One row for each index on the axes, the last running fastest; each column is broadcast to all of them."""
    values = torch.broadcast_tensors(*(x.detach().cpu() for x in columns.values()))
    if not axes:
        return pd.DataFrame({name: [x.item()] for name, x in zip(columns, values, strict=True)})
    index = torch.cartesian_prod(*(torch.arange(n) for n in values[0].shape)).reshape(-1, len(axes))
    places = {axis: index[:, i].numpy() for i, axis in enumerate(axes)}
    return pd.DataFrame({**places, **{name: as_array(x.flatten()) for name, x in zip(columns, values, strict=True)}})


def as_array(x: Tensor) -> Any:
    """A tensor as a NumPy array; bfloat16, which NumPy lacks, becomes float32."""
    x = x.detach().cpu()
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()


def examples(rows: pd.DataFrame) -> pd.DataFrame:
    """The batch axis by the name a reader knows."""
    return rows.rename(columns={"batch": "example"})
