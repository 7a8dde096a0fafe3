"""The circuit of `induction_gpt`: previous-token heads, and induction heads that match on what those wrote."""

from __future__ import annotations

import pytest
import torch

from workbench.analysis.circuits.composition import composition
from workbench.analysis.circuits.cut_composition import cut_composition
from workbench.analysis.circuits.head_patterns import head_patterns
from workbench.checkpoints.store import load
from workbench.core.errors import UnknownNameError
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Correct
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import SequenceData


@pytest.fixture(scope="module")
def data() -> SequenceData:
    return DATASETS["repeated_tokens"]()


@pytest.fixture(scope="module")
def model() -> HookedModel:
    return load("induction_gpt")


def heads(model: HookedModel, data: SequenceData) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Previous-token heads and induction heads."""
    scores = head_patterns(model, data.test_inputs[:200])
    return scores.above("previous", 0.3), scores.above("induction", 0.8)


def test_first_layer_looks_back_by_one_and_second_layer_where_the_token_was_followed(
    model: HookedModel, data: SequenceData
) -> None:
    previous, induction = heads(model, data)
    assert previous and all(head.startswith("blocks.0.") for head in previous)
    assert induction and all(head.startswith("blocks.1.") for head in induction)


def test_no_head_looks_so_before_training(data: SequenceData) -> None:
    previous, induction = heads(load("induction_gpt", step=0), data)
    assert not previous and not induction


def test_by_their_weights_the_heads_compose_through_keys(model: HookedModel, data: SequenceData) -> None:
    previous, induction = heads(model, data)
    found = composition(model)
    rows, columns = ([found.heads.index(head) for head in some] for some in (previous, induction))
    by_part = found.score[:, rows][:, :, columns].mean(dim=(1, 2))
    assert by_part[1] > 2 * found.chance > 2 * max(by_part[0], by_part[2])


def test_cutting_the_keys_alone_destroys_the_behaviour(model: HookedModel, data: SequenceData) -> None:
    previous, induction = heads(model, data)
    answers = Correct(data.test_targets[:200, -1])
    cut = cut_composition(model, data.test_inputs[:200], data.test_inputs[200:400], answers, previous, induction)
    queries, keys, values = cut.cut.mean(dim=1).tolist()
    assert cut.clean.mean() > 0.99 and cut.corrupted.mean() < 0.1
    assert keys < 0.2 and min(queries, values) > 0.95


def test_other_heads_of_the_first_layer_do_not_carry_it(model: HookedModel, data: SequenceData) -> None:
    previous, induction = heads(model, data)
    rest = [f"blocks.0.attn.hook_z[head={i}]" for i in range(4)]
    rest = [head for head in rest if head not in previous]
    answers = Correct(data.test_targets[:200, -1])
    cut = cut_composition(model, data.test_inputs[:200], data.test_inputs[200:400], answers, rest, induction)
    assert cut.cut.mean(dim=1).min() > 0.9


def test_a_head_that_is_not_there_is_named(model: HookedModel, data: SequenceData) -> None:
    rows = data.test_inputs[:2]
    with pytest.raises(UnknownNameError, match="Did you mean 'blocks.1.attn.hook_z'"):
        cut_composition(model, rows, rows, Correct(torch.zeros(2, dtype=torch.long)), ["blocks.9.attn.hook_z[head=0]"],
                        ["blocks.1.attn.hook_z[head=0]"])  # fmt: skip
