"""Runs that share one batch of blocks: as many as fit in memory."""

from __future__ import annotations

import pytest

from workbench.analysis.circuits.blocks import CleanRun
from workbench.zoo.mlp import MLPClassifier, MLPConfig


@pytest.mark.parametrize(
    ("first", "last", "widest"), [(0, 0, 4), (1, 1, 40), (2, 2, 8), (2, 3, 24), (3, 4, 24), (4, 4, 6), (0, 4, 40)]
)
def test_the_widest_activation_of_the_stages_decides_how_many_blocks_fit(first: int, last: int, widest: int) -> None:
    model = MLPClassifier(MLPConfig(n_features=4, hidden=(40, 8, 24), n_classes=6)).eval()
    run = CleanRun.of(model, model.example(3), [])
    assert run.room(first, last, memory=4 * 3 * widest * 7) == 7
    assert run.room(first, last, memory=4 * 3 * widest * 7 - 1) == 6
    assert run.room(first, last, memory=1) == 1
