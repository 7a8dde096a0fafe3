"""Tests of sites: printing, parsing, resolving and selecting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.zoo.small import small
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.sites import Site

AXES = ("batch", "pos", "head", "d_head")
SHAPE = (3, 4, 5, 2)
entries = st.integers(-3, 2)
indices = st.one_of(
    entries,
    st.lists(entries, min_size=2, max_size=3).map(tuple),
    st.builds(slice, st.none() | st.integers(0, 1), st.none() | st.integers(2, 3)),
)


@given(st.dictionaries(st.sampled_from(AXES), indices, max_size=4))
def test_a_site_is_what_its_text_says(index: dict) -> None:
    site = Site("blocks.0.attn.hook_z", index)
    assert Site.parse(str(site)) == site


@given(st.dictionaries(st.sampled_from(AXES[:3]), indices, max_size=3))
def test_selecting_equals_indexing_one_axis_after_another(index: dict) -> None:
    x = torch.arange(3 * 4 * 5 * 2).reshape(SHAPE)
    expected = x
    for dim, axis in enumerate(AXES):
        entry = index.get(axis, slice(None))
        chosen = list(entry) if isinstance(entry, tuple) else entry
        expected = expected.index_select(dim, torch.arange(SHAPE[dim])[chosen].reshape(-1))
    assert torch.equal(Site("h", index).select(x, AXES), expected)


@given(st.dictionaries(st.sampled_from(AXES[:3]), indices, max_size=3))
def test_writing_changes_what_is_selected_and_nothing_else(index: dict) -> None:
    x = torch.zeros(SHAPE)
    site = Site("h", index)
    site.write(x, torch.ones(()).expand_as(site.select(x, AXES)), AXES)
    assert site.select(x, AXES).eq(1).all()
    site.write(x, torch.zeros(()).expand_as(site.select(x, AXES)), AXES)
    assert x.eq(0).all()


@pytest.mark.parametrize(
    "text",
    ["a b", "h[head]", "h[head=]", "h[head=x]", "h[head=1,head=2]", "h[head=1", "", "h[]", "h[head=1,]", "h[head=1_0]",
     "h[head=+1]", "h[head=٣]", "h[=1]", f"h[head={'9' * 5000}]"],
)  # fmt: skip
def test_a_text_that_is_no_site_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Site.parse(text)


def test_the_nearest_hook_and_axis_are_offered() -> None:
    model = small("gpt")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'blocks.0.attn.hook_z'"):
        Site.parse("blocks.0.attn.hook_zz[head=1]").resolve(model)
    with pytest.raises(UnknownNameError, match="Did you mean 'head'"):
        Site.parse("blocks.0.attn.hook_z[heads=1]").resolve(model)
    with pytest.raises(InputError, match="0 to 1. The nearest is 1"):
        Site.parse("blocks.0.attn.hook_z[head=2]").resolve(model)
    with pytest.raises(InputError, match="is empty"):
        Site.parse("blocks.0.attn.hook_z[head=1:1]").resolve(model)


@pytest.mark.parametrize(
    ("index", "nearest"), [("1:5", "1:2"), (":3", "0:2"), ("-3:", "0:2"), ("2:5", "0:2"), ("60:99", "0:2")]
)
def test_a_range_that_reaches_outside_an_axis_is_refused_and_not_cut(index: str, nearest: str) -> None:
    site = Site.parse(f"blocks.0.attn.hook_z[head={index}]")
    with pytest.raises(InputError, match=f"2 entries. The nearest range inside is {nearest}"):
        site.resolve(small("gpt"))
    with pytest.raises(InputError, match=f"2 entries. The nearest range inside is {nearest}"):
        site.select(torch.zeros(1, 3, 2, 4), ("batch", "pos", "head", "d_head"))


def test_an_index_of_numpy_torch_or_a_range_is_the_same_site() -> None:
    plain = Site.parse("h[head=1|3,pos=2:4,batch=0]")
    assert Site("h", {"head": [np.int64(1), torch.tensor(3)], "pos": slice(2, 4, 1), "batch": (0,)}) == plain
    assert Site("h", {"head": range(1, 4, 2), "pos": slice(2, 4), "batch": 0}) == plain


@pytest.mark.parametrize("index", [1.5, True, None, "1", (), 2**63, slice(0, 4, 2), slice(0.5, 2), range(10**12)])
def test_what_is_no_index_is_refused_when_the_site_is_made(index: object) -> None:
    with pytest.raises(InputError, match="head"):
        Site("h", {"head": index})  # type: ignore[dict-item]


@pytest.mark.parametrize("entry", [0, 126, 127, 10_000, -300, 2**63 - 1])
def test_any_whole_number_of_64_bits_is_an_index(entry: int) -> None:
    assert Site("h", {"pos": entry}).index == {"pos": entry} and Site("h", {"pos": torch.tensor(entry)}) == Site(
        "h", {"pos": entry}
    )


@pytest.mark.parametrize("entry", [2**63, -(2**63), True, 1.5, torch.tensor(1.0), "1"])
def test_what_is_no_whole_number_of_64_bits_is_no_index(entry: object) -> None:
    with pytest.raises(InputError, match="is not an index"):
        Site("h", {"pos": entry})  # type: ignore[dict-item]
