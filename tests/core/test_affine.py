"""Tests of affine operations: they are recognised, and their linear part is what a change adds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from workbench.core.affine import applies_weights, is_affine, linear_part
from workbench.core.replay import evaluate, replay
from workbench.core.tape import Ref, Tape, record

Function = Callable[[Tensor, Tensor], Tensor]
W, KERNEL = torch.rand(6, 6).double(), torch.rand(4, 1, 2).double()
MASK = torch.rand(3, 4, 6) > 0.5

AFFINE: dict[str, Function] = {
    "sum": lambda a, b: a + b,
    "weighted sum": lambda a, b: torch.add(a, b, alpha=2),
    "sum without weight": lambda a, b: torch.add(a, b, alpha=0),
    "weighted difference": lambda a, b: torch.sub(a, b, alpha=3),
    "constant minus value": lambda a, b: 2 - a,
    "weighted reversed difference": lambda a, b: torch.rsub(a, 2, alpha=3),
    "product with a constant": lambda a, b: W[:4] * a,
    "quotient by a constant": lambda a, b: a / 3,
    "mean": lambda a, b: a.mean(dim=1),
    "masked": lambda a, b: a.masked_fill(MASK, 5.0),
    "chosen by a mask": lambda a, b: torch.where(MASK, a, b),
    "chosen beside a constant": lambda a, b: torch.where(MASK, a, torch.tensor(2.0).double()),
    "joined": lambda a, b: torch.cat([a, b], dim=1),
    "joined with a constant": lambda a, b: torch.cat([a, W.expand(3, 6, 6)], dim=1),
    "padded": lambda a, b: F.pad(a, (1, 2), value=7.0),
    "entries": lambda a, b: a[:, [0, 2]],
    "matrix": lambda a, b: a @ W,
    "matrix and bias": lambda a, b: torch.addmm(W[0], a[0], W, alpha=2),
    "bias of a product of constants": lambda a, b: torch.addmm(a[0, 0], W, W),
    "bias and matrix": lambda a, b: torch.addmm(a[0, 0], b[0], W, beta=3),
    "bias of products of constants": lambda a, b: torch.baddbmm(a, W[:4].expand(3, 4, 6), W.expand(3, 6, 6)),
    "matrices and bias": lambda a, b: torch.baddbmm(W[:1], a, W.expand(3, 6, 6)),
    "linear layer": lambda a, b: F.linear(a, W, W[0]),
    "grouped convolution": lambda a, b: F.conv1d(a, KERNEL, W[0, :4], groups=4),
    "norm of statistics": lambda a, b: F.batch_norm(a, W[0, :4], W[1, :4], W[2, :4], W[3, :4]),
    "norm of statistics alone": lambda a, b: F.batch_norm(a, W[0, :4], W[1, :4]),
}
NOT_AFFINE: dict[str, Function] = {
    "product": lambda a, b: a * b,
    "square": lambda a, b: a * a,
    "quotient": lambda a, b: a / b,
    "constant over value": lambda a, b: torch.div(W[0], a),
    "product of matrices": lambda a, b: a @ b.mT,
    "bias and product": lambda a, b: torch.addmm(W[:4, :4], a[0], b[0].T),
    "rectified": lambda a, b: a.relu(),
    "largest": lambda a, b: a.amax(dim=1),
}


def recorded(function: Function) -> tuple[Tape, dict[Ref, Tensor]]:
    """The tape of a function of two inputs, and all its values."""

    class Module(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return function(a, b)

    module = Module()
    a, b = (torch.rand(3, 4, 6, dtype=torch.float64) + 0.5 for _ in range(2))
    tape = record(module, lambda inputs: module(*inputs), (a, b))
    return tape, replay(tape, [a, b][: len(tape.inputs)])


def live_in(tape: Tape) -> set[Ref]:
    live = set(tape.inputs)
    for op in tape.operations:
        if any(ref in live for ref in op.reads):
            live |= {out for out in op.outputs if out is not None}
    return live


@pytest.mark.parametrize("name", AFFINE)
def test_an_affine_operation_adds_the_linear_part_of_a_change(name: str) -> None:
    tape, values = recorded(AFFINE[name])
    live = live_in(tape)
    for op in tape.operations:
        read = [ref for ref in dict.fromkeys(op.reads) if ref in live]
        if not read:
            continue
        assert is_affine(op, live)
        (out,) = [ref for ref in op.outputs if ref is not None][:1]
        changes = {ref: torch.rand_like(values[ref]) for ref in read}
        found = linear_part(op, changes, tape)
        after = evaluate(tape, {ref: values[ref] + x for ref, x in changes.items()}, out, values)
        assert_close(found[0] if isinstance(found, tuple) else found, after - values[out])


@pytest.mark.parametrize("name", NOT_AFFINE)
def test_other_operations_are_not_affine(name: str) -> None:
    tape, _ = recorded(NOT_AFFINE[name])
    live = live_in(tape)
    assert not all(is_affine(op, live) for op in tape.operations if any(ref in live for ref in op.reads))


def test_weights_mix_entries_of_a_value_and_a_bias_does_not() -> None:
    mixing = {
        "matrix",
        "matrix and bias",
        "bias and matrix",
        "matrices and bias",
        "linear layer",
        "grouped convolution",
    }
    for name, function in AFFINE.items():
        tape, _ = recorded(function)
        live = live_in(tape)
        assert any(applies_weights(op, live) for op in tape.operations) is (name in mixing), name
