"""Tests of linear probes and their controls: raw input and a random network."""

from __future__ import annotations

import pytest
import torch

from tests.analysis.policies.worlds import policy
from workbench.analysis.policies.probes import probe
from workbench.core.errors import InputError

HOOK = "actor.blocks.0.hook_pre"


def data(n: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, generator=rng), torch.arange(n) // 10


def test_a_linear_target_is_read_from_every_source() -> None:
    seen, episode = data()
    found = probe(policy(0), policy(1), seen, seen @ torch.tensor([1.0, -2.0, 0.5]), episode, [HOOK])
    assert found.sources == ("raw input", HOOK, f"{HOOK} of a random network")
    assert (found.score > 0.999).all() and found.by_fold.shape == (3, 5)
    assert abs(found.beyond_controls(HOOK)) < 1e-3


def test_what_only_the_network_computes_is_beyond_the_controls() -> None:
    """The target is a unit behind a sharp non-linearity: linear in the activation, in neither control."""
    model, (seen, episode) = policy(0), data()
    with torch.no_grad():
        model.actor.blocks[0].linear.weight.mul_(20)
        model.actor.blocks[1].linear.weight.normal_()
        deep = model.cache(seen, "actor.blocks.1.hook_post")["actor.blocks.1.hook_post"]
    found = probe(model, policy(1), seen, deep @ torch.ones(deep.shape[1]), episode, ["actor.blocks.1.hook_post"])
    assert float(found.score[1]) > 0.999 and found.beyond_controls("actor.blocks.1.hook_post") > 0.1


def test_noise_cannot_be_read_from_states_of_other_episodes() -> None:
    seen, episode = data()
    noise = torch.randint(2, (300,), generator=torch.Generator().manual_seed(5))
    found = probe(policy(0), policy(1), seen, noise, episode, [HOOK])
    assert found.chance == 0.5 and (found.score < 0.62).all()


def test_what_cannot_be_probed_is_refused() -> None:
    seen, episode = data()
    with pytest.raises(InputError, match="5 folds need at least 5 episodes"):
        probe(policy(), policy(), seen, seen[:, 0], torch.zeros(300, dtype=torch.long), [HOOK])
    with pytest.raises(InputError, match="same value in all states"):
        probe(policy(), policy(), seen, torch.ones(300), episode, [HOOK])
