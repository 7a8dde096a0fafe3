"""A policy that moves towards a signal if a gate is open, with distractors that correlate with the signal."""

from __future__ import annotations

import torch

from workbench.core.metrics import LogitDifference
from workbench.core.random import generator
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import KnownCircuit, make_matter, zero_weights
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig

SIGNAL, GATE, ALWAYS, ECHO = range(4)
"""Features: direction (-1 or 1, scaled), gate (0 or 1), constant 1, and a noisy copy of the signal."""
LEFT, RIGHT = range(2)


@CIRCUITS.register("planted_policy")
def planted_policy() -> KnownCircuit:
    """Signal and gate are combined by two AND units, one for each action.

    Distractors: the copy of the signal drives the strongest unit, which nothing reads; a unit of the second layer reads
    the signal and is read by an action, but never fires; the critic has a circuit of its own. The gate unit reads the
    constant feature, which matters only under zero ablation.
    """
    model = zero_weights(
        ActorCritic(ActorCriticConfig(observation=(4,), n_actions=2, hidden=(5, 4), activation="relu"))
    )
    first, second = (block.linear for block in model.actor.blocks)
    first.weight[0, SIGNAL], first.weight[1, SIGNAL] = 1, -1
    first.weight[2, ALWAYS], first.weight[2, GATE] = 1, -1  # fires while the gate is closed
    first.weight[3, ECHO] = 5
    first.weight[4, SIGNAL] = 1
    second.weight[0, 0], second.weight[0, 2] = 1, -3
    second.weight[1, 1], second.weight[1, 2] = 1, -3
    second.weight[2, 3] = 5
    second.weight[3, 4], second.bias[3] = 1, -10
    model.actor.readout.weight[RIGHT, 0] = model.actor.readout.weight[LEFT, 1] = 1
    model.actor.readout.weight[RIGHT, 3] = 1
    outer, inner = (block.linear for block in model.critic.blocks)
    outer.weight[0, GATE] = inner.weight[0, 0] = model.critic.readout.weight[0, 0] = 1
    observations = make_observations()
    goes_right = (observations[:, SIGNAL] > 0).long()
    both = [
        *(f"hook_input[feature={f}] -> actor.blocks.0.hook_pre[unit={u}]" for f, u in ((0, 0), (0, 1), (GATE, 2))),
        *(f"actor.blocks.0.hook_post[unit={u}] -> actor.blocks.1.hook_pre[unit={v}]" for u, v in AND),
        *(f"actor.blocks.1.hook_post[unit={u}] -> actor.hook_logits[action={a}]" for u, a in ((0, RIGHT), (1, LEFT))),
    ]
    return KnownCircuit(
        about="Go towards the signal when the gate is open; logit of that action minus the other.",
        model=model,
        inputs=observations,
        corrupted=observations.roll(5, dims=0),
        metric=LogitDifference(goes_right, 1 - goes_right),
        matter=make_matter(
            model.graph(),
            {"zero": [*both, f"hook_input[feature={ALWAYS}] -> actor.blocks.0.hook_pre[unit=2]"], "resample": both},
        ),
    )


AND = ((0, 0), (2, 0), (1, 1), (2, 1))
"""Edges from units of the first layer to the AND units."""


def make_observations(n: int = 64) -> torch.Tensor:
    """Return observations with signals of both signs, open and closed gates, and noisy copies of the signal."""
    random = generator(0, "planted policy")
    draws = torch.rand(n, 3, generator=random, dtype=torch.float64)
    signal = (draws[:, 0] < 0.5).double().mul(2).sub(1) * (0.5 + draws[:, 1])
    gate = (torch.arange(n) % 3 > 0).double()
    return torch.stack([signal, gate, torch.ones_like(gate), signal + 0.1 * draws[:, 2]], dim=1)
