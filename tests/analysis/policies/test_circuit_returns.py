"""Tests of returns with some edges kept, on a policy that two edges decide."""

from __future__ import annotations

import pytest
import torch

from tests.analysis.policies.worlds import Guess, first_number_policy, policy
from workbench.analysis.policies.circuit_returns import (
    Rollout,
    estimate_magnitudes,
    find_edges_to_actions,
    jaccard,
    mean_writes,
    measure_circuit_returns,
)
from workbench.core.errors import ConfigError
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig
from workbench.zoo.mlp import MLPClassifier, MLPConfig

SEEDS = list(range(30))


def states(n: int = 200) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
def test_the_two_edges_that_decide_keep_the_whole_return() -> None:
    """The policy reads the first number through one unit: two edges of 20 are the circuit, whatever else is there."""
    model = first_number_policy()
    with torch.no_grad():  # a loud distractor that no action hears of
        model.actor.blocks[0].linear.weight[0, 1] = 9.0
    result = measure_circuit_returns(model, Guess, states(), SEEDS, points=20)
    strongest = result.scores["hook_input -> actor.blocks.0.hook_pre"].abs()
    assert strongest.nonzero().tolist() == [[0, 2]]
    at_two = result.sizes.tolist().index(2)
    assert torch.equal(result.circuit[at_two], result.intact)
    assert result.smallest(result.circuit) == 2
    assert result.magnitude[at_two].mean() < result.intact.mean()  # the distractor's edges carry more
    assert result.random[:, at_two].mean() < result.intact.mean()


@pytest.mark.slow
def test_all_edges_are_the_policy_and_none_a_constant_action() -> None:
    model = policy(2)
    result = measure_circuit_returns(model, Guess, states(), SEEDS, points=4, draws=2)
    assert torch.equal(result.circuit[-1], result.intact) and torch.equal(
        result.random[:, -1], result.intact.expand(2, -1)
    )
    always = []
    for action in range(2):
        run = Rollout(model.graph(), Guess, mean_writes(model.graph(), states()), tuple(SEEDS))
        constant = policy(2)
        with torch.no_grad():
            constant.actor.readout.weight.zero_()
            constant.actor.readout.bias.copy_(torch.eye(2)[action])
        always.append(Rollout(constant.graph(), Guess, run.mean, tuple(SEEDS)).run(constant.graph().full(1.0)))
    assert any(torch.equal(result.cut, returns) for returns in always)
    low, high = result.interval(result.circuit)
    assert (low <= result.circuit.mean(1)).all() and (result.circuit.mean(1) <= high).all()


def test_edges_of_the_critic_are_not_counted() -> None:
    separate, shared = policy(), policy(critic="shared")
    for model, dead in ((separate, ("critic",)), (shared, ("critic.hook_value",))):
        graph = model.graph()
        counted = graph.wiring.as_masks(find_edges_to_actions(graph))
        assert all(bool(mask.all()) != any(name.rpartition("-> ")[2].startswith(d) for d in dead)
                   for name, mask in counted.items())  # fmt: skip
    with pytest.raises(ConfigError, match="is not a policy"):
        find_edges_to_actions(MLPClassifier(MLPConfig()).eval().graph())


@pytest.mark.parametrize("trunk", ["mlp", "convolutional"])
def test_the_magnitude_of_an_edge_is_what_it_carries(trunk: str) -> None:
    """Against every edge carried by itself."""
    torch.manual_seed(0)
    shape = (3,) if trunk == "mlp" else (2, 3, 3)
    model = ActorCritic(ActorCriticConfig(shape, 2, trunk, (3,), (4,), "relu", "shared")).eval()  # type: ignore[arg-type]
    graph, seen = model.graph(), torch.randn(40, *shape)
    estimate, writes = estimate_magnitudes(graph, seen), graph.writes(seen)
    for name, wire in graph.wires.items():
        change = graph.group(wire.writer, writes[wire.writer] - writes[wire.writer].mean(0, keepdim=True))
        for place in torch.ones(graph.wiring.shape(name)).nonzero().tolist():
            alone = torch.zeros(graph.wiring.shape(name))
            alone[tuple(place)] = 1
            with torch.no_grad():
                exact = wire.carry(change, alone).flatten(1).square().sum(1).mean().sqrt()
            assert float(estimate[name][tuple(place)]) == pytest.approx(float(exact), rel=0.25, abs=1e-6)


def test_overlap_of_circuits() -> None:
    one, other = {"w": torch.tensor([[1.0, 1.0, 0.0]])}, {"w": torch.tensor([[0.0, 1.0, 1.0]])}
    assert jaccard(one, one) == 1 and jaccard(one, other) == pytest.approx(1 / 3)
