"""Tests of tables of results: columns, rows, order and CSV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pandas as pd
import pytest
from torch import Tensor
from torch.utils._pytree import tree_map_only

from tests.figures.results import RESULTS, ablation, circuit, curve, patching, unheard
from workbench.figures.figure import figure
from workbench.figures.table import table


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_every_result_makes_a_table_that_survives_csv(result: object) -> None:
    rows = table(result)
    assert len(rows) and not [name for name in rows.columns if rows[name].map(lambda x: isinstance(x, list)).any()]
    assert rows.to_csv(index=False).count("\n") == len(rows) + 1


def in_type(result: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A result whose floating tensors are changed."""
    held = {f.name: getattr(result, f.name) for f in fields(result) if f.init}
    return replace(result, **tree_map_only(Tensor, lambda x: change(x) if x.is_floating_point() else x, held))


@pytest.mark.parametrize("result", [r for r in RESULTS if is_dataclass(r)], ids=lambda result: type(result).__name__)
def test_a_result_in_bfloat16_or_with_gradients_has_the_same_table_and_figure(result: object) -> None:
    rounded = in_type(result, lambda x: x.bfloat16().float())
    half = in_type(result, lambda x: x.bfloat16().requires_grad_())
    pd.testing.assert_frame_equal(table(half), table(rounded))
    assert figure(half).to_json() == figure(rounded).to_json()


def test_each_row_holds_what_belongs_together() -> None:
    result = ablation()
    rows = table(result)
    assert list(rows.columns[:4]) == ["unit", "example", "effect", "baseline"] and len(rows) == 9
    row = rows[(rows["unit"] == 1) & (rows["example"] == 2)].iloc[0]
    assert (row["effect"], row["baseline"], row["method"]) == (-6.0, 5.0, "zero")


def test_patching_has_a_row_for_each_part_and_example() -> None:
    rows, result = table(patching()), patching()
    assert len(rows) == 2 * 2 * 4 * 3
    row = rows.query("hook == 'blocks.1.attn.hook_z' and head == 0 and pos == 3 and example == 1").iloc[0]
    assert row["effect"] == pytest.approx(float(result.effect[1, 0, 3])) == pytest.approx(row["patched"])
    assert (row["clean"], row["corrupted"]) == (1.0, 0.0)


def test_a_circuit_has_a_row_for_each_edge_the_strongest_first() -> None:
    rows = table(circuit())
    assert len(rows) == 12 and list(rows["rank"]) == list(range(1, 13))
    assert (rows["writer"][0], rows["port"][0], rows["score"][0]) == (
        "hook_input[feature=0]", "blocks.0.hook_pre[unit=0]", -3.0,
    )  # fmt: skip


def test_a_curve_has_a_row_for_each_step_and_gaps_where_nothing_was_measured() -> None:
    rows = table(curve())
    assert list(rows["step"]) == [0, 50, 100] and rows["train_loss"].isna().tolist() == [False, True, False]


def test_a_table_from_annotations_joins_all_tensors_on_their_axes() -> None:
    rows = table(unheard())
    assert list(rows.columns) == ["head", "place", "score", "batch_score", "hook"]
    assert rows["batch_score"].tolist() == [1.0, 1.0, 2.0, 2.0]
