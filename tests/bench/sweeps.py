"""Prefix reuse and batched conditions: a sweep of ablations against one full hooked pass for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from tests.bench.harness import Figure, paired
from workbench.core.hooked import HookedModel
from workbench.core.interventions import Intervention, zero
from workbench.core.metrics import LogitDifference
from workbench.core.stages import sweep
from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.resnet import ResNet, ResNetConfig

Conditions = Sequence[Sequence[Intervention]]
NAIVE = "one full hooked forward pass per condition"


def figures() -> Iterator[Figure]:
    """Every figure of this benchmark."""
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(n_ctx=128, n_layers=4, d_model=256, n_heads=8)).eval()
    heads = [[zero(f"blocks.{layer}.attn.hook_z[head={head}]")] for layer in range(4) for head in range(8)]
    yield from compared("sweeps.heads.batch_1", gpt, torch.randint(65, (1, 128)), heads, ">= 2.2")
    yield from compared("sweeps.heads.batch_16", gpt, torch.randint(65, (16, 128)), heads, ">= 1.7")
    resnet = ResNet(ResNetConfig()).eval()
    yield from compared("sweeps.channels.batch_1", resnet, resnet.example(1), channels(resnet, range(9), 1))
    yield from compared("sweeps.channels.batch_16", resnet, resnet.example(16), channels(resnet, range(9), 8))
    yield from compared("sweeps.last_channels.batch_16", resnet, resnet.example(16), channels(resnet, [8], 1))


def channels(model: ResNet, blocks: Sequence[int], step: int) -> Conditions:
    """Ablations of every `step`-th channel inside each of the blocks."""
    hooks = [f"blocks.{block}.hook_mid" for block in blocks]
    sizes = {hook: model.trace()[hook].size("channel") for hook in hooks}
    return [[zero(f"{hook}[channel={c}]")] for hook in hooks for c in range(0, sizes[hook], step)]


def compared(
    name: str, model: HookedModel, inputs: Tensor, conditions: Conditions, target: str | None = None
) -> Iterator[Figure]:
    """How many times as fast the sweep is as the naive loop, and the largest difference of their results."""
    batch = len(inputs)
    measure = LogitDifference(torch.zeros(batch, dtype=torch.long), torch.ones(batch, dtype=torch.long))
    ours, peer = partial(sweep, model, inputs, conditions, measure), partial(naive, model, inputs, conditions, measure)
    difference = float((ours() - peer()).abs().max())
    speed = 1 / paired(ours, peer, repeats=3).median
    yield Figure(name, speed, f"x as fast, {len(conditions)} conditions", NAIVE, target)
    yield Figure(f"{name}.largest_difference", difference, "logits", NAIVE, "<= 1e-6")


@torch.no_grad()
def naive(model: HookedModel, inputs: Tensor, conditions: Conditions, measure: LogitDifference) -> Tensor:
    """The same numbers, the plain way."""
    rows = []
    for condition in conditions:
        with model.edited(condition):
            rows.append(measure(model(inputs)))
    return torch.stack(rows)
