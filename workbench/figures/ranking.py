"""The strongest parts by their mean effect over the examples, with intervals: what a command writes first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from workbench.core.intervals import mean_interval
from workbench.figures.by_result import by_result

TOP = 10


@by_result
def ranking(result: object) -> pd.DataFrame | None:
    """The ten parts with the largest mean effect, strongest first; None for results that rank nothing."""
    return None


def ranked(names: Sequence[str], effect: Float[Tensor, "part batch"], seed: int = 0) -> pd.DataFrame:
    """Rows for the parts of the largest absolute mean effect."""
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
