"""Tests of cut composition between its two ends: nothing cut, and everything cut."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from tests.zoo.small import example, small
from workbench.analysis.circuits.cut_composition import cut_composition
from workbench.core.metrics import Logit


def test_each_part_is_cut_by_hand() -> None:
    model = small("gpt")
    clean, corrupted = example(model, seed=0), example(model, seed=1)
    metric = Logit(torch.zeros(len(clean)).long())
    writer, reader = "blocks.0.attn.hook_z[head=1]", "blocks.1.attn.hook_z[head=0]"
    found = cut_composition(model, clean, corrupted, metric, [writer], [reader])
    with torch.no_grad():
        assert_close(found.clean, metric(model(clean)))
        assert_close(found.corrupted, metric(model(corrupted)))
        hook = "blocks.0.attn.hook_z"
        one, other = (model.cache(x, hook)[hook][:, :, 1] for x in (clean, corrupted))
        moved = (other - one) @ model.blocks[0].attn.W_O[1]
        for part, value in zip("qkv", found.cut, strict=True):

            def change(x: Tensor) -> Tensor:
                return torch.stack([x[:, :, 0] + moved, x[:, :, 1]], dim=2)

            with model.attach({f"blocks.1.hook_{part}_input": change}):
                assert_close(value, metric(model(clean)))
