"""Tests of networks compiled by Tracr: their programs, and the edges that matter."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from workbench.ground_truth.tracr import (
    IRRELEVANT_BELOW,
    MATTERS_ABOVE,
    PROGRAMS,
    find_mattering,
    load_program,
    measure_changes,
    run_with_cut,
)

every_program = pytest.mark.parametrize("name", PROGRAMS)


def balanced(row: list[str]) -> bool:
    """Whether every parenthesis closes one that is open."""
    heights = [row[: i + 1].count("(") - row[: i + 1].count(")") for i in range(len(row))]
    return min(heights) >= 0 and heights[-1] == 0


def right_answer(name: str, row: list[str]) -> list[object]:
    """What the program is to say, in plain Python."""
    n = len(row)
    count = [row.count(x) for x in row]
    return {
        "reverse": lambda: row[::-1],
        "length": lambda: [n] * n,
        "histogram": lambda: count,
        "double_histogram": lambda: [count.count(c) for c in count],
        "previous": lambda: [None, *row[:-1]],
        "identity": lambda: row,
        "unique": lambda: [c == 1 for c in count],
        "proportion": lambda: [row[: i + 1].count("x") / (i + 1) for i in range(n)],
        "pair_balance": lambda: [(row[: i + 1].count("(") - row[: i + 1].count(")")) / (i + 1) for i in range(n)],
        "palindrome": lambda: [a == b for a, b in zip(row, reversed(row), strict=True)],
        "shuffle_dyck": lambda: [balanced(row)] * n,
        "count_less_frequent": lambda: [sum(c <= 2 for c in count)] * n,
        "sort": lambda: sorted(row),
        "sort_unique": lambda: sorted(row),
        "most_frequent": lambda: sorted(row, key=lambda x: (-row.count(x), 0)),
    }[name]()


@every_program
def test_the_network_computes_its_program(name: str) -> None:
    for row, said in zip(load_program(name).facts["inputs"], load_program(name).facts["decoded"], strict=True):
        wanted = right_answer(name, row)
        for position, (found, right) in enumerate(zip(said[1:], wanted, strict=True)):
            if name == "previous" and position == 0:
                continue  # nothing comes before the first
            if isinstance(right, float):
                assert float(found) == pytest.approx(right, abs=1e-3), (row, said)
            elif name == "most_frequent":
                assert row.count(found) == row.count(str(right)), (row, said)
            else:
                assert str(found) == str(right), (row, said)


@every_program
def test_our_gpt_gives_what_the_compiled_network_gave_on_every_input(name: str) -> None:
    known = load_program(name)
    with torch.no_grad():
        assert_close(known.model(known.stored["tokens"]), known.stored["expected"], rtol=0, atol=1e-4)
    assert_close(run_with_cut(known.stored, known.stored["tokens"])[0], known.stored["expected"], rtol=0, atol=1e-4)


@every_program
@pytest.mark.parametrize("ablation", ["zero", "resample"])
def test_an_edge_matters_clearly_or_not_at_all(name: str, ablation: str) -> None:
    felt = torch.stack(measure_changes(load_program(name), ablation))
    assert not ((felt > IRRELEVANT_BELOW) & (felt <= MATTERS_ABOVE)).any()
    assert find_mattering(name, ablation).sum() < len(felt)
    assert find_mattering(name, ablation).any() or (name, ablation) == (
        "length",
        "resample",
    )  # all inputs are equally long
