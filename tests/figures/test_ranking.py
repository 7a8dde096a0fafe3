"""Tests of the ranking of parts by mean effect."""

from __future__ import annotations

import pytest
import torch

from tests.figures.results import ablation, circuit
from tests.figures.test_nodes import result as nodes
from workbench.figures.ranking import TOP, rank_parts, ranking


def test_the_strongest_come_first_with_mean_interval_and_number_of_examples() -> None:
    rows = ranking(ablation())
    assert list(rows["part"]) == [f"blocks.0.hook_post[unit={unit}]" for unit in (1, 0, 2)]
    assert rows["mean effect"].tolist() == pytest.approx([-5, 3.1 / 3, 0])
    assert rows["95 % low"].tolist() == pytest.approx([-6, 1, -2]) and rows["95 % high"][0] == pytest.approx(-4)
    assert set(rows["n"]) == {3} and list(rows["rank"]) == [1, 2, 3]
    assert next(iter(ranking(nodes())["part"])) == "blocks.0.hook_post[unit=1]"


def test_at_most_ten_are_ranked_and_results_without_an_order_not_at_all() -> None:
    rows = rank_parts([str(i) for i in range(50)], torch.arange(50.0)[:, None].expand(50, 8))
    assert list(rows["part"]) == [str(i) for i in range(49, 49 - TOP, -1)]
    assert ranking(circuit()) is None
