from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from tests.ground_truth.programs import FELT, PROGRAMS, UNFELT, changes, labels, outputs, program
from workbench.analysis.circuits.attribution import other_writes
from workbench.analysis.circuits.exact import patch_edges

every_program = pytest.mark.parametrize("name", PROGRAMS)


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
        "sort": lambda: sorted(row),
        "sort_unique": lambda: sorted(row),
        "most_frequent": lambda: sorted(row, key=lambda x: (-row.count(x), 0)),
    }[name]()


@every_program
def test_the_network_computes_its_program(name: str) -> None:
    for row, said in zip(program(name).facts["inputs"], program(name).facts["decoded"], strict=True):
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
    known = program(name)
    with torch.no_grad():
        assert_close(known.model(known.stored["tokens"]), known.stored["expected"], rtol=0, atol=1e-4)
    assert_close(outputs(known.stored, known.stored["tokens"])[0], known.stored["expected"], rtol=0, atol=1e-4)


@every_program
@pytest.mark.parametrize("ablation", ["zero", "resample"])
def test_an_edge_matters_clearly_or_not_at_all(name: str, ablation: str) -> None:
    felt = torch.stack(changes(name, ablation))
    assert not ((felt > UNFELT) & (felt <= FELT)).any()
    assert labels(name, ablation).sum() < len(felt)
    assert labels(name, ablation).any() or (name, ablation) == ("length", "resample")  # all inputs are equally long


@every_program
def test_exact_patching_finds_the_circuit(name: str) -> None:
    known = program(name)
    graph, tokens = known.graph(), known.stored["tokens"]
    other = other_writes(graph, known.corrupted, "zero")
    scores = graph.wiring.as_vector(patch_edges(graph, tokens, other, known.metric)).abs()
    assert roc_auc_score(labels(name, "zero"), scores) == 1.0
