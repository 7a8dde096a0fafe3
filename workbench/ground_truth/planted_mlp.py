"""Two classifiers: a majority vote of three features, and an OR in which one input is seen by two equal units."""

from __future__ import annotations

from itertools import product

import torch

from workbench.core.metrics import LogitDifference
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import KnownCircuit, make_matter, zero_weights
from workbench.zoo.mlp import MLPClassifier, MLPConfig

NO, YES = range(2)


def all_bits(n: int) -> torch.Tensor:
    """Return all rows of n zeros and ones."""
    return torch.tensor(list(product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def make_metric(truth: torch.Tensor) -> LogitDifference:
    """Return the metric "right logit minus wrong"."""
    return LogitDifference(truth.long(), 1 - truth.long())


@CIRCUITS.register("planted_vote")
def planted_vote() -> KnownCircuit:
    """Yes if at least two of three features are 1: relu(sum - 1) - relu(sum - 2), which is 0 or 1.

    Distractors: a fourth feature drives a unit whose readers cancel each other; a fifth drives a unit that would
    overrule the vote but is kept silent by its bias.
    """
    model = zero_weights(MLPClassifier(MLPConfig(n_features=5, hidden=(4, 4), n_classes=2)))
    first, second = (block.linear for block in model.blocks)
    first.weight[:2, :3], first.bias[:2] = 1, torch.tensor([-1.0, -2.0]).double()
    first.weight[2, 3], first.weight[3, 4] = 1, 1
    second.weight[0, 0], second.weight[0, 1] = 1, -1
    second.weight[1, 2], second.weight[2, 2] = 2, 1
    second.weight[3, 3], second.bias[3] = 1, -2
    read = model.readout.linear
    read.weight[YES, 0], read.bias[YES] = 1, -0.5
    read.weight[YES, 3] = 9
    inputs = all_bits(5)
    no_votes = torch.cat([torch.zeros_like(inputs[:, :3]), 1 - inputs[:, 3:]], dim=1)
    edges = [
        *(f"hook_input[feature={f}] -> blocks.0.hook_pre[unit={u}]" for f in range(3) for u in range(2)),
        *(f"blocks.0.hook_post[unit={u}] -> blocks.1.hook_pre[unit=0]" for u in range(2)),
        f"blocks.1.hook_post[unit=0] -> readout.hook_logits[class={YES}]",
    ]
    return KnownCircuit(
        about="Yes when at least two of three features are 1; right logit minus wrong.",
        model=model,
        inputs=inputs,
        corrupted=no_votes,
        metric=make_metric(inputs[:, :3].sum(dim=1) >= 2),
        matter=make_matter(model.graph(), {"zero": edges, "resample": edges}),
    )


@CIRCUITS.register("planted_duplicate")
def planted_duplicate() -> KnownCircuit:
    """Yes if a = 1, which two equal units detect, or if b = 1, which one unit detects.

    The second layer is relu(1 - u0 - u1 - v). If a = 1 it stays 0 when u0 or u1 is cut, so neither matters alone under
    zero ablation, but both together do. If a = 0, an edge that carries 1 from another input does matter. Distractor: a
    third copy of the unit, which nothing reads.
    """
    model = zero_weights(MLPClassifier(MLPConfig(n_features=3, hidden=(4, 1), n_classes=2)))
    first, second = (block.linear for block in model.blocks)
    for unit, feature in ((0, 0), (1, 0), (2, 1), (3, 0)):
        first.weight[unit, feature] = 1
    second.weight[0, :3], second.bias[0] = -1, 1
    read = model.readout.linear
    read.weight[NO, 0], read.bias[YES] = 1, 0.5
    inputs = torch.tensor([[a, b, c] for a, b, c in product((0, 1), repeat=3) if a + b < 2], dtype=torch.float64)
    twice = [f"hook_input[feature=0] -> blocks.0.hook_pre[unit={u}]" for u in (0, 1)]
    twice += [f"blocks.0.hook_post[unit={u}] -> blocks.1.hook_pre[unit=0]" for u in (0, 1)]
    once = [
        "hook_input[feature=1] -> blocks.0.hook_pre[unit=2]",
        "blocks.0.hook_post[unit=2] -> blocks.1.hook_pre[unit=0]",
        f"blocks.1.hook_post[unit=0] -> readout.hook_logits[class={NO}]",
    ]
    pairs = (frozenset(twice[:2]), frozenset(twice[2:]), frozenset((twice[0], twice[3])), frozenset(twice[1:3]))
    return KnownCircuit(
        about="Yes when a = 1, which two equal units see, or b = 1; right logit minus wrong.",
        model=model,
        inputs=inputs,
        corrupted=inputs.roll(2, dims=0),
        metric=make_metric(inputs[:, :2].sum(dim=1) > 0),
        matter=make_matter(model.graph(), {"zero": once, "resample": [*twice, *once]}),
        duplicates=pairs,
    )
