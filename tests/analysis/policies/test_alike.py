"""Tests of the similarity of policies, on copies with permuted units and on rotations."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.analysis.policies.worlds import policy
from workbench.analysis.policies.alike import compare_policies, linear_cka
from workbench.core.errors import InputError
from workbench.zoo.actor_critic import ActorCritic

STATES = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def renamed(model: ActorCritic) -> ActorCritic:
    """The same function with its hidden units in another order, and one of them with its sign turned."""
    twin = copy.deepcopy(model)
    first, second = (block.linear for block in twin.actor.blocks)
    for one, two, order in (
        (first, second, torch.tensor([3, 0, 4, 1, 2])),
        (second, twin.actor.readout, torch.tensor([2, 3, 1, 0])),
    ):
        one.weight.copy_(one.weight[order])
        one.bias.copy_(one.bias[order])
        two.weight.copy_(two.weight[:, order])
    first.weight[0] *= -1
    second.weight[:, 0] *= -1
    return twin


def test_a_network_with_its_units_renamed_is_the_same_circuit() -> None:
    model = policy()
    found = compare_policies(model, STATES, lambda name: renamed(model), ("twin",), size=12)
    assert found.others == ("untrained", "twin")
    assert found.jaccard[1] == 1 and found.agreement[1] == 1 and found.chance[1] < 0.8
    torch.testing.assert_close(found.cka[1], torch.ones(2, dtype=found.cka.dtype))
    assert found.jaccard[0] < 1 and (found.cka[0] < 0.99).all()


def test_wider_networks_have_units_without_a_partner() -> None:
    found = compare_policies(policy(), STATES, lambda name: policy(1, hidden=(9, 7)), ("wide",), size=12)
    assert 0 <= found.jaccard[1] < 1 and found.cka.shape == (2, 2)


def test_alignment_ignores_rotation_and_scale_and_nothing_else() -> None:
    x = STATES.double()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    assert linear_cka(x, 3 * x @ turn + 5) == pytest.approx(1)
    single = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]), torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    assert linear_cka(*single) == pytest.approx(0)


@pytest.mark.parametrize(
    ("hidden", "size", "said"), [((5,), 12, "1 hidden layers"), ((5, 4), 999, "999 is out of range")]
)
def test_what_cannot_be_compared_is_refused(hidden: tuple[int, ...], size: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        compare_policies(policy(), STATES, lambda name: policy(hidden=hidden), ("other",), size=size)


def test_a_tenth_of_the_edges_is_compared_when_nobody_says_how_many() -> None:
    assert compare_policies(policy(), STATES, lambda name: policy()).size == (3 * 5 + 5 * 4 + 4 * 2) // 10
