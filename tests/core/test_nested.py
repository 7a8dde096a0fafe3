"""Tests of tensors found in nested containers and dataclasses, and put back in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.core.nested import flatten, is_plain, map_tensors, tensors_in


@dataclass(frozen=True, slots=True)
class Inner:
    x: Tensor
    note: str = "kept"


@dataclass
class Outer:
    inner: Inner
    others: list[Tensor | None]


class Pair(NamedTuple):
    a: Tensor
    b: int


def test_every_tensor_is_found_and_replaced() -> None:
    one, two, three = torch.zeros(1), torch.ones(2), torch.full((3,), 2.0)
    value = {"o": Outer(Inner(one), [None, two]), "p": Pair(three, 4)}
    assert [x.shape for x in tensors_in(value)] == [(1,), (2,), (3,)]
    doubled = map_tensors(lambda x: x + 1, value)
    assert torch.equal(doubled["o"].inner.x, one + 1) and doubled["o"].inner.note == "kept"
    assert doubled["o"].others[0] is None and torch.equal(doubled["o"].others[1], two + 1)
    assert isinstance(doubled["p"], Pair) and doubled["p"].b == 4
    assert value["o"].inner.x is one and value["o"].others[1] is two  # the first value is left as it was
    leaves, rebuild = flatten(value)
    assert rebuild(leaves)["o"] == value["o"]


def test_sparse_nested_and_quantised_tensors_are_not_plain() -> None:
    x = torch.eye(2)
    assert is_plain(x) and not is_plain(x.to_sparse()) and not is_plain([x])
    assert not is_plain(torch.nested.nested_tensor([x, x[:1]]))
    assert not is_plain(torch.quantize_per_tensor(x, 1.0, 0, torch.quint8))
