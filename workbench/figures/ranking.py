"""Table of the strongest parts by their mean effect over the examples, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from workbench.core.coordinates import main_array, view_of
from workbench.core.intervals import mean_interval
from workbench.figures.by_result import by_result

TOP = 10


@by_result
def ranking(result: object) -> pd.DataFrame | None:
    """Return the ten parts with the largest mean effect, strongest first; None for results that rank nothing."""
    if not view_of(result).ranked or (array := main_array(result)).tensor.ndim != 2:
        return None
    return rank_parts([array.axes[0].site(i) for i in range(len(array.tensor))], array.tensor)


def rank_parts(names: Sequence[str], effect: Float[Tensor, "part batch"], seed: int = 0) -> pd.DataFrame:
    """Return rows for the parts of the largest absolute mean effect."""
    mean = effect.mean(dim=1)
    order = mean.abs().argsort(descending=True, stable=True)[:TOP]
    low, high = mean_interval(effect[order], seed).tolist()
    return pd.DataFrame(
        {
            "rank": range(1, len(order) + 1),
            "part": [names[i] for i in order.tolist()],
            "mean effect": mean[order].tolist(),
            "95 % low": low,
            "95 % high": high,
            "n": effect.shape[1],
        }
    )
