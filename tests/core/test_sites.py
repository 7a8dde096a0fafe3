"""Sites print, parse, resolve and select."""

from __future__ import annotations

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


@pytest.mark.parametrize("text", ["a b", "h[head]", "h[head=]", "h[head=x]", "h[head=1,head=2]", "h[head=1", ""])
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
        Site.parse("blocks.0.attn.hook_z[head=2:5]").resolve(model)
