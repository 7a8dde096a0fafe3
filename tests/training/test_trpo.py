"""TRPO: conjugate gradients, the exact Fisher matrix of a tiny net, and the trust region after every step."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.func import functional_call, jacrev

from tests.training.test_ppo import policy, weights
from workbench.core.errors import Cancelled, ConfigError
from workbench.data.environments import make_vector
from workbench.training.advantages import normalize
from workbench.training.conjugate_gradient import conjugate_gradient
from workbench.training.policy_losses import mean_kl
from workbench.training.rollouts import collect, start
from workbench.training.samples import prepare_batch
from workbench.training.trpo import TRPOConfig, fisher_product, flat_gradient, policy_parameters, step, trpo
from workbench.zoo.actor_critic import ActorCritic, ActorCriticConfig

cartpoles = partial(make_vector, "workbench/CartPole-v1")
SMALL = TRPOConfig(steps=6 * 8 * 16, segment=16, checkpoint_every=1)


def tiny() -> tuple[ActorCritic, torch.Tensor]:
    model = policy(units=3).double()
    with torch.no_grad():
        model.actor.readout.weight.mul_(100)  # away from the uniform policy
    return model, torch.randn(40, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def exact_fisher(model: ActorCritic, observation: torch.Tensor) -> torch.Tensor:
    """Mean over states of sum over actions p(a) (gradient of log p(a)) (the same)^T, one term at a time."""
    parameters = {n: p.detach() for n, p in model.named_parameters() if n.startswith("actor")}

    def logp(changed: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional_call(model, changed, (observation,)).logits.log_softmax(-1)

    jacobian = torch.cat([j.flatten(2) for j in jacrev(logp)(parameters).values()], dim=2)
    probability = logp(parameters).exp()
    return torch.einsum("sa,sap,saq->pq", probability, jacobian, jacobian) / len(observation)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_conjugate_gradients_solve_a_system_in_as_many_steps_as_it_has_rows(size: int) -> None:
    root = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    matrix, b = root @ root.T + torch.eye(size), torch.arange(1.0, size + 1, dtype=torch.float64)
    found = conjugate_gradient(lambda v: matrix @ v, b, steps=size, tolerance=0.0)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, b))


def test_products_are_those_of_the_exact_fisher_matrix() -> None:
    model, observation = tiny()
    parameters = policy_parameters(model, observation[:1])
    assert len(parameters) == 6 and sum(p.numel() for p in parameters) == 35
    product = fisher_product(lambda: model(observation).logits, parameters, damping=0.1)
    columns = torch.stack([product(unit) for unit in torch.eye(35, dtype=torch.float64)])
    torch.testing.assert_close(columns, exact_fisher(model, observation) + 0.1 * torch.eye(35, dtype=torch.float64))


def segment_and_model(units: int = 16):
    model, envs = policy(units=units), cartpoles(8)
    rng = torch.Generator().manual_seed(0)
    return model, collect(model, envs, start(model, envs, 0), 32, rng)


def test_the_step_is_along_the_exact_natural_gradient_and_as_long_as_allowed() -> None:
    model, segment = segment_and_model(units=3)
    cfg, batch = TRPOConfig(cg_steps=35, kl_limit=1e-4), prepare_batch(segment, 0.99, 0.95)
    parameters, before = policy_parameters(model, batch.observation[:1]), weights(model.actor)
    logp = model(batch.observation).logits.log_softmax(-1).gather(1, batch.action[:, None])[:, 0]
    gradient = flat_gradient((logp * normalize(batch.advantage)).mean(), parameters)
    matrix = exact_fisher(model.double(), batch.observation.double()) + 0.1 * torch.eye(35, dtype=torch.float64)
    model.float()
    measured = step(model, parameters, batch, segment.logits.flatten(0, 1), cfg)
    moved, natural = weights(model.actor) - before, torch.linalg.solve(matrix, gradient.double())
    cosine = torch.cosine_similarity(moved.double(), natural, dim=0)
    assert cosine > 0.999, "the direction of the parameters in order is the natural gradient's"
    length = (2 * cfg.kl_limit / (natural @ matrix @ natural)).sqrt() * natural.norm()
    assert moved.norm().item() == pytest.approx(float(length) * cfg.shrink ** measured["backtracks"], rel=1e-2)


def test_every_step_stays_inside_the_trust_region_and_gains() -> None:
    model, segment = segment_and_model()
    batch = prepare_batch(segment, 0.99, 0.95)
    for limit in (0.001, 0.01, 0.1, 1.0):
        parameters, old = policy_parameters(model, batch.observation[:1]), model(batch.observation).logits.detach()
        measured = step(model, parameters, batch, old, TRPOConfig(kl_limit=limit))
        kl = mean_kl(old, model(batch.observation).logits).item()
        assert kl <= limit and kl == pytest.approx(measured["kl"], abs=1e-6)
        assert measured["gain"] > 0 or measured["backtracks"] == 10


def test_a_step_that_gains_nothing_is_taken_back() -> None:
    model, segment = segment_and_model()
    batch, before = prepare_batch(segment, 0.99, 0.95), weights(model)
    cfg = TRPOConfig(kl_limit=1e6, backtracks=1, damping=0.0)  # far outside of where the model of the gain holds
    measured = step(model, policy_parameters(model, batch.observation[:1]), batch, segment.logits.flatten(0, 1), cfg)
    assert measured["gain"] == measured["kl"] == 0.0 and torch.equal(weights(model), before)


def test_the_divergence_of_two_known_policies() -> None:
    old, new = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    expected = 0.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(2 / 3).log()
    assert mean_kl(old, new).item() == pytest.approx(float(expected))


def test_every_update_of_a_run_stays_inside_and_the_policy_learns() -> None:
    model = policy(units=16)
    curve = trpo(model, cartpoles(8), TRPOConfig(steps=4000, segment=32))
    assert max(value for _, value in curve.points("kl")) <= 0.01
    assert curve.last("return") > 2 * curve.points("return")[0][1]


def test_a_shared_critic_is_refused() -> None:
    model = ActorCritic(ActorCriticConfig(hidden=(8,), critic="shared"))
    with pytest.raises(ConfigError, match="critic='separate'"):
        trpo(model, cartpoles(4), SMALL)


def test_a_stopped_run_continues_bit_for_bit(tmp_path: Path) -> None:
    whole, stopped, resumed = (policy() for _ in range(3))
    trpo(whole, cartpoles(8), SMALL, seed=3)

    def stop(done: int, total: int) -> None:
        if done == 3 * 128:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        trpo(stopped, cartpoles(8), SMALL, seed=3, progress=stop, checkpoint=tmp_path / "state")
    trpo(resumed, cartpoles(8), SMALL, seed=3, checkpoint=tmp_path / "state")
    assert torch.equal(weights(resumed), weights(whole))
