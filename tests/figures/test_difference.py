"""Tests of the tables, figure and sentence that compare tuned models."""

from __future__ import annotations

import torch

from tests.training.rlhf.tiny import MARKS, network, some_rows
from workbench.analysis.rlhf.difference import ALL, AS_TUNED, Difference, Trace
from workbench.analysis.rlhf.restoring import restore_weights
from workbench.analysis.rlhf.token_kl import compute_token_kl
from workbench.analysis.rlhf.weight_change import measure_stream_shift, measure_weight_change
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.table import table
from workbench.training.rlhf.completions import completion_mask

PARTS = {"embed": "embed", "blocks.0.attn": "blocks.0.attn", "blocks.0.mlp": "blocks.0.mlp"}


def traced(factor: float) -> Trace:
    """A network whose first MLP was made larger, beside one that stayed as it was."""
    original, rows = network(), some_rows()
    found = {}
    for name, by in (("larger", factor), ("same", 1.0)):
        tuned = network()
        with torch.no_grad():
            tuned.blocks[0].mlp.W_in *= by
        counted = completion_mask(rows, MARKS)
        back = restore_weights(
            tuned, original, PARTS, lambda model, extend: model(rows).square().sum(dim=(1, 2)).detach()
        )
        found[name] = Difference(
            measure_weight_change(tuned, original),
            compute_token_kl(tuned, original, rows, counted),
            measure_stream_shift(tuned, original, rows, counted),
            {"weights": back},
        )
    return Trace("original", found, tuple(PARTS), "sum of logits", tuple("abcdefgh"))


def test_tables_have_the_largest_parts_first_and_a_column_for_each_model() -> None:
    tables = traced(1.5).tables(2)
    changes, weights, tokens, shifts, restored = tables.values()
    assert list(tables)[-1] == "Sum of logits with weights restored"
    assert {row["part"]: (row["larger"] > 0, row["same"]) for row in changes}["blocks.0.mlp"] == (True, 0.0)
    assert weights[0]["weight"] == "blocks.0.mlp.W_in" and abs(weights[0]["larger"] - 0.5) < 1e-5 and len(weights) == 2
    assert tokens[0]["token"] == ALL and tokens[0]["larger"] > tokens[0]["same"] == 0 and len(tokens) == 3
    assert shifts[0]["larger"] > 0 == shifts[0]["same"]
    assert [row["restored"] for row in restored[:2]] == [AS_TUNED, "original"]
    assert restored[2]["restored"] == "blocks.0.mlp" and abs(restored[2]["larger, share undone"] - 1) < 1e-4


def test_the_picture_has_bars_for_each_model_and_the_sentence_says_what_moved_most() -> None:
    found = traced(1.5)
    assert {bars.name for bars in figure(found).data} == {"larger", "same"} and len(figure(found).data) == 6
    assert "larger changed blocks.0.mlp most" in describe(found) and "of which restoring blocks.0.mlp" in describe(
        found
    )
    rows = table(found)
    assert set(rows.columns) == {"table", "part", "column", "value"} and rows.value.notna().all()


def test_traces_of_one_original_join() -> None:
    one, other = traced(1.5), traced(2.0)
    joined = Trace(one.original, {"third": other.found["larger"]}, one.parts, one.unit, one.tokens)
    assert list(one.join([joined]).found) == ["larger", "same", "third"]
