"""Composition scores: a table of the pairs of heads that compose, strongest first."""

from __future__ import annotations

import pandas as pd

from workbench.analysis.circuits.composition import Composition
from workbench.figures.table import table


@table.register
def _(result: Composition) -> pd.DataFrame:
    known = ~result.score.isnan()
    shown = known if known.any() else ~known  # heads of a single layer do not compose, but have copying scores
    rows = [
        (result.parts[part], result.heads[writer], result.heads[reader], float(result.score[part, writer, reader]))
        for part, writer, reader in shown.nonzero().tolist()
    ]
    found = pd.DataFrame(rows, columns=["part", "writer", "reader", "score"])
    copying = dict(zip(result.heads, result.copying.tolist(), strict=True))
    return found.assign(writer_copies=found["writer"].map(copying)).sort_values(
        "score", ascending=False, ignore_index=True
    )
