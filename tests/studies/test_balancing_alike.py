"""Study of policies that balance the pole: layers are similar across seeds and algorithms, edges hardly."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from workbench.analysis.policies.alike import compare_policies
from workbench.core.hooked import HookedModel
from workbench.core.random import seed_everything
from workbench.data.environments import make_vector
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.pipelines.pipeline import locate_pipeline, read_pipeline
from workbench.experiments.run import loaded
from workbench.training.ppo import PPOConfig, ppo
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig

OTHERS = ("cartpole_a2c", "cartpole_trpo", "cartpole_reinforce", "cartpole_ppo@30")


@pytest.fixture(scope="module")
def model() -> HookedModel:
    return loaded("cartpole_ppo")


@pytest.fixture(scope="module")
def states(model: HookedModel) -> Tensor:
    return read_inputs("explored:0:400", model).inputs


def test_the_study_asks_about_all_algorithms_and_the_way_there() -> None:
    asked = read_pipeline(locate_pipeline(Path("balancing_alike")))
    assert len(asked) == 6 and {*OTHERS, "cartpole_dqn"} <= set(asked[0].parameters["others"])


def test_four_algorithms_hold_the_same_and_wire_it_differently(model: HookedModel, states: Tensor) -> None:
    found = compare_policies(model, states, loaded, OTHERS)
    untrained, others = found.cka[0], found.cka[1:]
    assert others.min() > 0.85 and (others.mean(dim=0) > untrained).all()
    assert (found.jaccard[1:] > found.chance[1:]).all() and (found.jaccard - found.chance)[1:].max() < 0.25


@pytest.mark.slow
def test_another_seed_is_no_nearer_than_another_algorithm(model: HookedModel, states: Tensor) -> None:
    def trained(name: str) -> HookedModel:
        seed_everything(seed := int(name))
        fresh = ActorCritic(ActorCriticConfig())
        ppo(fresh, make_vector("workbench/CartPole-v1", 64), PPOConfig(steps=100_000), seed)
        return fresh.eval()

    seeds = compare_policies(model, states, trained, ("1", "2"))
    assert seeds.cka[1:].min() > 0.9
    assert ((seeds.jaccard - seeds.chance)[1:] < 0.25).all() and (seeds.jaccard > seeds.chance)[1:].all()
