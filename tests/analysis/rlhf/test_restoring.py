"""Tests of restored parts: all, none, and single steps against full passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.training.rlhf.tiny import MARKS, PROMPTS, network
from workbench.analysis.rlhf.restoring import (
    original_weights,
    patch_along,
    patch_sites,
    restore_activations,
    restore_weights,
)
from workbench.core.errors import UnknownNameError

OUT = "blocks.0.hook_resid_post"


def write(model: Any, extend: Any) -> torch.Tensor:
    return model.complete(PROMPTS * 8, 6, MARKS.end, torch.Generator().manual_seed(0), extend=extend)


def worth(model: Any, extend: Any) -> torch.Tensor:
    return write(model, extend).double().sum(dim=1).float()


def pair() -> tuple[Any, Any]:
    tuned, original = network(1), network(1)
    with torch.no_grad():
        tuned.blocks[0].attn.W_V[1] *= -40
        tuned.blocks[0].mlp.W_in += torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    return tuned, original


def test_a_patched_step_equals_a_full_pass_with_the_same_patch() -> None:
    tuned, original = pair()
    site, rows = "blocks.0.attn.hook_z[head=1]", write(tuned, None)
    extend = patch_sites(tuned, original, [site])
    steps = torch.cat([extend(rows[:, :3]), *(extend(rows[:, i : i + 1]) for i in range(3, rows.shape[1]))], dim=1)
    kept = original.cache(rows, ["blocks.0.attn.hook_z"])["blocks.0.attn.hook_z"]

    def one_head(z: torch.Tensor) -> torch.Tensor:
        z = z.clone()
        z[:, :, 1] = kept[:, :, 1]
        return z

    with tuned.edited({"blocks.0.attn.hook_z": one_head}):
        torch.testing.assert_close(steps, tuned(rows), atol=1e-5, rtol=1e-5)


def test_the_whole_stream_restored_writes_what_the_original_writes() -> None:
    tuned, original = pair()
    found = restore_activations(tuned, original, {"stream": [OUT], "head 0": ["blocks.0.attn.hook_z[head=0]"]}, worth)
    assert torch.equal(found.restored[0], found.original)
    assert found.share[0].item() == 1
    assert not torch.equal(found.tuned, found.original)
    assert torch.equal(found.restored[1], found.tuned), "head 0 has not changed, so nothing comes back"


def test_a_shift_along_one_direction_is_undone_along_it_alone() -> None:
    tuned, original = network(1), network(1)
    with torch.no_grad():
        tuned.blocks[0].mlp.b_out += (shift := torch.randn(16, generator=torch.Generator().manual_seed(0)))
    rows = write(tuned, None)
    undone = patch_along(tuned, original, OUT, shift)(rows)
    torch.testing.assert_close(undone, original(rows), atol=1e-4, rtol=1e-4)
    across = torch.linalg.svd(shift[None])[2][1]
    torch.testing.assert_close(patch_along(tuned, original, OUT, across)(rows), tuned(rows), atol=1e-4, rtol=1e-4)


def test_weights_are_restored_by_prefix_and_come_back_afterwards() -> None:
    tuned, original = pair()
    before = {name: p.clone() for name, p in tuned.named_parameters()}
    parts = {"everything": "", "attention": "blocks.0.attn", "read-out": "unembed"}
    found = restore_weights(tuned, original, parts, worth)
    assert torch.equal(found.restored[0], found.original)
    assert torch.equal(found.restored[2], found.tuned)
    assert all(torch.equal(p, before[name]) for name, p in tuned.named_parameters())


def test_a_weight_that_does_not_exist_is_an_error() -> None:
    tuned, original = pair()
    with pytest.raises(UnknownNameError), original_weights(tuned, original, "blocks.7"):
        pass
