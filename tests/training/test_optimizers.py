"""Tests of optimizers against the update rules of their papers."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from workbench.core.errors import UnknownNameError
from workbench.training.optimizers import OPTIMIZERS, build_optimizer, hidden_matrices

LR, STEPS = 0.1, 4


class OneNumber(nn.Module):
    """A single weight w with loss w**2 / 2, whose gradient is w."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))


class Attention(nn.Module):
    """The weights of one attention block, laid out as TransformerLens does."""

    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.W_Q = nn.Parameter(torch.randn(2, 6, 3, generator=rng))
        self.W_O = nn.Parameter(torch.randn(2, 3, 6, generator=rng))
        self.b_Q = nn.Parameter(torch.randn(2, 3, generator=rng))
        self.W_E = nn.Parameter(torch.randn(11, 6, generator=rng))
        self.norm = nn.LayerNorm(6)


def descend(name: str, steps: int = STEPS) -> float:
    model = OneNumber()
    optimizer = build_optimizer(model, name, LR, betas=(0.9, 0.99), momentum=0.8)
    for _ in range(steps):
        optimizer.zero_grad()
        (model.weight**2 / 2).sum().backward()
        optimizer.step()
    return model.weight.item()


def by_hand(name: str) -> float:
    """The update rules as their papers write them, for the gradient g = w."""
    w, m, v = 2.0, 0.0, 0.0
    for t in range(1, STEPS + 1):
        g = w
        if name in ("gradient_descent", "sgd"):
            w -= LR * g
        elif name == "momentum":
            m = 0.8 * m + g
            w -= LR * m
        elif name in ("adam", "adamw"):
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
            w -= LR * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.99**t)) + 1e-8)
        elif name == "rmsprop":
            v = 0.99 * v + 0.01 * g * g
            w -= LR * g / (math.sqrt(v) + 1e-8)
        elif name == "adagrad":
            v += g * g
            w -= LR * g / (math.sqrt(v) + 1e-8)
    return w


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if not n.startswith("muon")])
def test_a_named_optimizer_follows_its_papers_rule(name: str) -> None:
    assert descend(name) == pytest.approx(by_hand(name), rel=1e-9)


def test_adam_decays_through_the_gradient_and_adamw_beside_it() -> None:
    for name, expected in {"adam": 2 - LR, "adamw": 2 * (1 - LR * 0.5) - LR}.items():
        model = OneNumber()
        optimizer = build_optimizer(model, name, LR, weight_decay=0.5)
        model.weight.grad = torch.ones_like(model.weight)
        optimizer.step()
        assert model.weight.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_leaves_biases_and_norms_alone(name: str) -> None:
    model = Attention()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = build_optimizer(model, name, LR, weight_decay=0.1)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"W_Q", "W_O", "W_E"}


def orthogonal_factor(matrix: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right


@pytest.mark.parametrize(
    ("name", "flat", "shaped"),
    [
        ("W_Q", lambda w: w.permute(1, 0, 2).reshape(6, 6), lambda m: m.reshape(6, 2, 3).permute(1, 0, 2)),
        ("W_O", lambda w: w.reshape(6, 6), lambda m: m.reshape(2, 3, 6)),
    ],
)
def test_muon_steps_all_heads_along_the_nearest_orthogonal_matrix(
    name: str, flat: Callable[[Tensor], Tensor], shaped: Callable[[Tensor], Tensor]
) -> None:
    model = Attention()
    optimizer = build_optimizer(model, "muon", LR)
    weight = dict(model.named_parameters())[name]
    before = weight.detach().clone()
    weight.grad = shaped(orthogonal_factor(torch.randn(6, 6, generator=torch.Generator().manual_seed(1))))
    optimizer.step()
    update = flat((before - weight.detach()) / (LR * 0.2 * math.sqrt(6)))
    # Newton-Schulz brings singular values to about one (0.68 to 1.13) and keeps the singular vectors.
    values = torch.linalg.svdvals(update)
    assert values.min() > 0.6 and values.max() < 1.3
    torch.testing.assert_close(orthogonal_factor(update), flat(weight.grad), atol=0.03, rtol=0)


def test_muon_on_a_plain_matrix_is_torchs_muon() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 6, bias=False), nn.Linear(4, 6, bias=False)
    theirs.load_state_dict(ours.state_dict())
    pair = build_optimizer(ours, "muon", LR, weight_decay=0.1, momentum=0.9)
    reference = torch.optim.Muon(
        theirs.parameters(), LR, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(3):
        for model, optimizer in ((ours, pair), (theirs, reference)):
            optimizer.zero_grad()
            (model.weight**4).sum().backward()
            optimizer.step()
    assert torch.equal(ours.weight, theirs.weight)


def test_muon_takes_hidden_matrices_and_adamw_the_rest() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4), Attention())
    assert set(hidden_matrices(model)) == {"1.weight", "3.W_Q", "3.W_O"}
    assert sum(len(g["params"]) for g in build_optimizer(model, "muon", LR).param_groups) == len(
        list(model.parameters())
    )


def test_muon_beside_sgd_turns_each_weight_by_the_learning_rate_and_holds_its_norm() -> None:
    conv = nn.Conv2d(3, 4, 3)
    model = nn.Sequential(conv, nn.Linear(4, 4))
    optimizer = build_optimizer(model, "muon_sgd", LR, weight_decay=0.1, momentum=0.0)
    kernels, bias = conv.weight, conv.bias
    assert bias is not None
    held = kernels.detach() * (2 / kernels.detach().norm())
    direction = orthogonal_factor(torch.randn(4, 27, generator=torch.Generator().manual_seed(1))).reshape(4, 3, 3, 3)
    kernels.grad, bias.grad, before = direction.clone(), torch.ones(4), bias.detach().clone()
    optimizer.step()
    # Newton-Schulz brings equal singular values to one number near one.
    moved = held - kernels.detach()
    torch.testing.assert_close(moved, direction * moved.norm() / 2, atol=2e-3, rtol=0)
    assert LR * 0.6 < moved.norm() / held.norm() < LR * 1.3
    torch.testing.assert_close(before - bias.detach(), torch.full((4,), LR))


def test_muon_takes_the_kernels_of_a_block_that_also_normalises() -> None:
    class NormConv(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)

    assert set(hidden_matrices(NormConv())) == {"conv.weight"}


def test_muon_works_with_nothing_but_biases_and_with_frozen_weights() -> None:
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    optimizer = build_optimizer(model, "muon", LR)
    before = model.bias.detach().clone()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.bias, before)


def test_the_learning_rate_of_muon_is_read_from_its_groups_at_each_step() -> None:
    model = Attention()
    optimizer = build_optimizer(model, "muon", LR)
    before = [p.detach().clone() for p in model.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_an_unknown_optimizer_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'adagrad'"):
        build_optimizer(nn.Linear(1, 1), "adagrid", LR)
