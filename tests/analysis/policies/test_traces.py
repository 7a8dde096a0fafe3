"""Tests of episode records against the definitions of return, advantage and surprise."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from tests.analysis.policies.worlds import Guess, policy
from workbench.analysis.policies.episodes import run_episodes
from workbench.analysis.policies.traces import discount_returns, trace_episode
from workbench.core.errors import InputError
from workbench.zoo.q_network import QNetwork, QNetworkConfig


def steps_of(model: object, n: int = 1) -> list:
    return list(run_episodes(lambda x, _: model(x).logits.argmax(-1), Guess(n), list(range(n))))  # type: ignore[operator]


def test_the_sums_of_an_episode_are_those_of_its_definitions() -> None:
    model, discount = policy(1), 0.9
    steps = steps_of(model)
    found = trace_episode(model, steps, discount)
    n = len(steps)
    assert found.return_to_go[0] == pytest.approx(sum(discount**k * float(found.reward[k]) for k in range(n)), rel=1e-5)
    for t in range(n):
        after = float(model(steps[t].led_to).value.detach()) if t < n - 1 else 0.0
        assert float(found.q[t]) == pytest.approx(float(found.reward[t]) + discount * after, abs=1e-5)
        assert float(found.surprise[t]) == pytest.approx(-float(found.probability[t, found.action[t]].log()), abs=1e-5)
    assert_close(found.advantage, found.q - found.value)
    assert_close(found.advantage, found.td_error)
    assert_close(found.probability.sum(1), torch.ones(n))


def test_a_critic_that_is_right_is_never_surprised_by_rewards() -> None:
    """Where every value is exact, temporal differences vanish: here each step of 6 is worth 1."""
    values = discount_returns(torch.ones(6), 0.9)

    def knowing(observation: torch.Tensor) -> SimpleNamespace:
        at = observation[:, 0].round().long()
        return SimpleNamespace(logits=torch.zeros(len(at), 2), value=torch.cat([values, torch.zeros(1)])[at])

    template = steps_of(policy())[0]
    steps = [
        type(template)(
            template.rows, torch.full((1, 1), float(t)), torch.tensor([1]), torch.ones(1, dtype=torch.float64),
            torch.full((1, 1), t + 1.0), torch.tensor([t == 5]), torch.tensor([t == 5]),
        )
        for t in range(6)
    ]  # fmt: skip
    found = trace_episode(knowing, steps, 0.9)
    assert_close(found.td_error, torch.zeros(6), atol=1e-5, rtol=0)
    assert_close(found.return_to_go, found.value)


def test_a_q_network_tells_its_own_q_and_is_greedy() -> None:
    torch.manual_seed(0)
    model = QNetwork(QNetworkConfig(observation=(3,), hidden=(8,))).eval()
    found = trace_episode(model, steps_of(model), 0.99)
    assert_close(found.q, found.value)  # the greedy action's Q is the state's value
    assert (found.probability.max(1).values == 1).all() and (found.surprise == 0).all()
    assert (found.td_error != 0).any()


def test_several_rows_are_no_episode() -> None:
    with pytest.raises(InputError, match="single row"):
        trace_episode(policy(), steps_of(policy(), n=2), 0.9)
