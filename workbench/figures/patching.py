"""Sentence on patching: the part that restores or destroys the behaviour most."""

from __future__ import annotations

import numpy as np

from workbench.analysis.patching import Patching
from workbench.core.coordinates import main_array, name_place
from workbench.figures.alt import describe
from workbench.figures.numerals import short
from workbench.figures.uncertainty import warn_of_few, write_count


@describe.register
def _(result: Patching) -> str:
    array, n = main_array(result), len(result.clean)
    best = int(result.effect.argmax() if result.direction == "denoise" else result.effect.argmin())
    index = [int(i) for i in np.unravel_index(best, result.effect.shape)]
    site, share = name_place(array.axes, index), f"{short(100 * result.effect[tuple(index)])} %"
    ends = f"(from {short(result.corrupted.mean())} corrupted to {short(result.clean.mean())} clean, {write_count(n)})"
    if result.direction == "denoise":
        found = f"Patching {site} from the clean run restores {share} of the behaviour, more than any other part"
    else:
        found = f"Patching {site} from the corrupted run leaves {share} of the behaviour, less than any other part"
    return f"{found} {ends}{warn_of_few(n)}."
