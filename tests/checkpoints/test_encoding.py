"""Tests of the round trip of results through tensors and JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float, Int
from torch import Tensor

from workbench.checkpoints.encoding import decode, encode
from workbench.core.errors import CheckpointError, ConfigError
from workbench.core.sites import Site
from workbench.core.tensor_file import pack, unpack


@dataclass(frozen=True)
class Part:
    label: str
    weight: Float[Tensor, " unit"]


@dataclass(frozen=True)
class Everything:
    hook: str
    effect: Float[Tensor, "unit batch"]
    tokens: Int[Tensor, " pos"] | None
    count: int
    rate: float
    part: Part
    parts: tuple[Part, ...]
    images: list[Float[Tensor, "height width"]]
    by_hook: dict[str, Float[Tensor, " unit"]]
    edges: dict[tuple[str, str], float]
    site: Site
    notes: Any
    labels: Mapping[int, str]


def equal(one: object, other: object) -> bool:
    """Whether two values are the same, tensors bit for bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and equal(vars(one), vars(other))
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


def through_a_file(result: object) -> object:
    tensors, values = encode(result)
    tensors, about = unpack(pack(tensors, {"values": json.loads(json.dumps(values))}), "file")
    return decode(type(result), tensors, about["values"])


def floats(*shape: int) -> st.SearchStrategy[Tensor]:
    return st.sampled_from([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in range(5)])


names = st.text(max_size=4)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | names
parts = st.builds(Part, label=names, weight=floats(3))
notes = st.recursive(
    scalars | floats(2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(names | st.integers() | st.just("$tensor"), inner, max_size=3)
    ),
    max_leaves=6,
)
results = st.builds(
    Everything,
    hook=names,
    effect=floats(2, 3),
    tokens=st.none() | st.just(torch.tensor([1, 2, 3])),
    count=st.integers(),
    rate=st.floats(),
    part=parts,
    parts=st.lists(parts, max_size=2).map(tuple),
    images=st.lists(floats(2, 2), max_size=2),
    by_hook=st.dictionaries(names, floats(2), max_size=3),
    edges=st.dictionaries(st.tuples(names, names), st.floats(allow_nan=False), max_size=3),
    site=st.sampled_from([Site("hook_z"), Site.parse("hook_z[head=5,pos=-1]"), Site.parse("hook_z[head=1|4,pos=2:6]")]),
    notes=notes,
    labels=st.dictionaries(st.integers(), names, max_size=2),
)


@given(results)
def test_a_result_comes_back_as_it_was(result: Everything) -> None:
    assert equal(through_a_file(result), result)


@dataclass(frozen=True)
class Loose:
    value: Any


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.bool, torch.int8, torch.complex64]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 1)])
def test_a_tensor_keeps_its_dtype_and_shape(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = torch.ones(shape).to(dtype)
    assert equal(through_a_file(Loose(tensor)), Loose(tensor))


def test_paths_that_spell_alike_do_not_collide() -> None:
    value = {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}}
    assert equal(through_a_file(Loose(value)), Loose(value))


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), 1j, int])
def test_what_cannot_be_stored_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(ConfigError, match=r"field value\.0\.x holds a"):
        encode(Loose([{"x": value}]))


@pytest.mark.parametrize("value", [3, "text", {"a": 1}, Loose])
def test_only_dataclasses_are_results(value: object) -> None:
    with pytest.raises(ConfigError, match="Only results that are dataclasses"):
        encode(value)


def test_a_lost_tensor_is_named() -> None:
    _, values = encode(Loose({"here": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=r"'value\.here'"):
        decode(Loose, {}, values)
