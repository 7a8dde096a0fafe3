"""Tests of action-value accuracy against value iteration and episodes replayed by hand."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.analysis.policies.q_accuracy import measure_q_accuracy
from workbench.core.errors import InputError
from workbench.data.environments.cartpole import CARTPOLE
from workbench.data.environments.classic_control import VectorControl
from workbench.data.environments.tabular import VectorTable, read_mdp
from workbench.training.value_iteration import value_iteration

CLIFF = partial(VectorTable, "CliffWalking-v1")


def test_exact_values_of_a_table_are_those_of_value_iteration() -> None:
    """The optimal Q as the network: what its greedy policy earns is Q itself, for every state and action met."""
    known = read_mdp("CliffWalking-v1")
    q = value_iteration(known.transition, known.reward, horizon=300, discount=0.9).float()
    found = measure_q_accuracy(
        lambda x: SimpleNamespace(logits=x @ q, q=x @ q), CLIFF, 0, [0, 3, 7, 12], 0.9, limit=200
    )
    torch.testing.assert_close(found.exact.float(), found.q, atol=1e-3, rtol=1e-3)
    assert abs(found.bias) < 1e-3 and found.correlation > 0.999 and found.agreement == 1


def test_a_critic_that_is_right_has_the_exact_q_one_step_ahead() -> None:
    known = read_mdp("CliffWalking-v1")
    q = value_iteration(known.transition, known.reward, horizon=300, discount=0.9).float()
    critic = lambda x: SimpleNamespace(logits=x @ q, value=(x @ q).amax(dim=1))
    found = measure_q_accuracy(critic, CLIFF, 0, [0, 12], 0.9, limit=200)
    torch.testing.assert_close(found.exact.float(), found.q, atol=1e-3, rtol=1e-3)


def test_a_branch_is_the_episode_replayed_by_hand() -> None:
    weight = torch.tensor([[0.0, 0.1, 1.0, 1.0]])

    def network(x: torch.Tensor) -> SimpleNamespace:
        logits = torch.cat([-x @ weight.T, x @ weight.T], 1)
        return SimpleNamespace(logits=logits, q=logits)

    found = measure_q_accuracy(network, lambda n: VectorControl(CARTPOLE, n, 60), 3, [0, 20], 0.95, limit=60)
    for i, at in enumerate((0, 20)):
        for action in range(2):
            envs, total, done, t = VectorControl(CARTPOLE, 1, 60), 0.0, False, 0
            seen = envs.reset(seed=[3])[0]
            while not done:
                chosen = int(network(torch.from_numpy(seen)).logits.argmax()) if t != at else action
                seen, reward, ended, cut, _ = envs.step(np.array([chosen]))
                total += 0.95 ** (t - at) * reward[0] * (t >= at)
                done, t = bool(ended[0] or cut[0]), t + 1
            assert float(found.exact[i, action]) == pytest.approx(total)
    with pytest.raises(InputError, match="has the steps 0 to"):
        measure_q_accuracy(network, lambda n: VectorControl(CARTPOLE, n, 60), 3, [999], 0.95, limit=60)
