"""Benchmark of the hook layer against TransformerLens, nnsight and torch's hooks on the same networks.

Peers run before ours does: ours asks the process to keep freed pages, which would make theirs quicker too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tests.bench import peers
from tests.bench.harness import Figure, paired
from tests.bench.torchvision_resnet import ResNet18
from workbench.core.allocator import keep_freed_pages
from workbench.core.errors import OverwrittenError
from workbench.core.hooked import HookedModel
from workbench.core.interventions import zero
from workbench.core.wrap import wrap
from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.mlp import MLPClassifier, MLPConfig
from workbench.zoo.resnet import ResNet, ResNetConfig

PLAIN = "the same network without hook points"
HEAD, POINT = 3, "blocks.1.attn.hook_z"


def figures() -> Iterator[Figure]:
    """Every figure of this benchmark."""
    with torch.no_grad():
        torch.manual_seed(0)
        yield from gpt()
        yield from caching("resnet", ResNet(ResNetConfig(channels=(64, 128, 256, 512), blocks_per_group=2)), 64, 1.05)
        yield from caching("tiny", tiny(), 64, 1.4)
        yield from corruption()


def gpt() -> Iterator[Figure]:
    """GPT of 4 layers, width 256, 8 heads; 16 prompts of 128 tokens."""
    model = GPT(GPTConfig(n_ctx=128, n_layers=4, d_model=256, n_heads=8)).eval()
    x = torch.randint(65, (16, 128))
    plain, lens, nnsight = peers.without_points(model), peers.with_lens(model), peers.nnsight_of(model)
    edited = partial(with_one_edit, model, x)
    hook = (f"net.{POINT}", lambda z, hook: z.index_fill(2, torch.tensor([HEAD]), 0.0))
    yield ratio("hooks.gpt.no_hook", "transformer_lens", partial(lens, x), partial(plain, x))
    yield ratio(
        "hooks.gpt.one_edit", "transformer_lens",
        lambda: lens.run_with_hooks(x, fwd_hooks=[hook]), partial(plain, x),
    )  # fmt: skip
    yield ratio(
        "hooks.gpt.one_edit", "nnsight", lambda: peers.edit_with_nnsight(nnsight, POINT, HEAD, x), partial(plain, x)
    )
    yield ratio("hooks.gpt.no_hook", "ours", partial(model, x), partial(plain, x), "<= 1.02")
    yield Figure("hooks.gpt.no_hook.differences", differing(model(x), plain(x)), "output entries", PLAIN, "== 0")
    yield ratio("hooks.gpt.one_edit", "ours", edited, partial(plain, x), "<= 1.05")
    yield from caching("gpt", model, x, 1.08)


def tiny() -> MLPClassifier:
    """A network whose forward pass takes about 0.4 ms."""
    return MLPClassifier(MLPConfig(n_features=64, hidden=(256, 256, 256)))


def caching(name: str, model: HookedModel, x: Tensor | int, target: float) -> Iterator[Figure]:
    """The cost of caching every activation that the plain pass computes (so no scores or patterns)."""
    model = model.eval()
    x = model.example(x) if isinstance(x, int) else x
    plain, lens, torchs = peers.without_points(model), peers.with_lens(model), peers.with_identities(model)
    names = [hook for hook, info in model.trace(x).items() if not info.on_request]
    lens_names, nnsight = [f"net.{hook}" for hook in names], peers.nnsight_of(model)
    figure, forward = f"hooks.{name}.cache_all", partial(plain, x)
    yield ratio(figure, "transformer_lens", lambda: lens.run_with_cache(x, names_filter=lens_names), forward)
    yield ratio(figure, "nnsight", lambda: peers.cache_with_nnsight(nnsight, names, x), forward)
    yield ratio(figure, "torch hooks", lambda: peers.cache_with_torch(torchs, names, x), forward)
    keep_freed_pages()
    yield ratio(figure, "ours", lambda: model.cache(x), forward, f"<= {target}")


def with_one_edit(model: HookedModel, x: Tensor) -> Tensor:
    """The output with one head's output set to zero."""
    with model.edited([zero(f"{POINT}[head={HEAD}]")]):
        return model(x)


def ratio(
    figure: str, whose: str, run: Callable[[], object], plain: Callable[[], object], target: str | None = None
) -> Figure:
    """Time of a run over that of the plain forward pass."""
    name = figure if whose == "ours" else f"{figure}.{whose.replace(' ', '_')}"
    return Figure(name, paired(run, plain).median, "x plain forward", PLAIN, target)


def differing(a: Tensor, b: Tensor) -> int:
    """Entries that are not bitwise equal."""
    return int((a != b).sum())


def corruption() -> Iterator[Figure]:
    """Activations of an in-place ResNet-18 that a cache gives back changed, without a word."""
    network, image = ResNet18().eval(), torch.randn(2, 3, 64, 64)
    wrapped = wrap(network, image)
    truth = wrapped.cache(image, copy=True)
    naive = kept_by_torch(network, image)
    silent = {name: differing(x, truth[name]) for name, x in naive.items()}
    unit = f"of {len(truth)} activations silently wrong"
    yield Figure("hooks.silent_corruption.torch_hooks", sum(map(bool, silent.values())), unit)
    yield Figure("hooks.silent_corruption", len(silently_wrong(wrapped, image, truth)), unit, "torch hooks", "== 0")


def kept_by_torch(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """What torch's forward hooks keep, named as `wrap` names it."""
    store: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        store[name if name not in store else f"{name}@2"] = output

    handles = [part.register_forward_hook(partial(keep, name)) for name, part in network.named_modules() if name]
    network(image)
    for handle in handles:
        handle.remove()
    return store


def silently_wrong(model: HookedModel, image: Tensor, truth: dict[str, Tensor]) -> Sequence[str]:
    """Sites whose cache, asked for one by one, differs from the truth and does not raise."""
    wrong = []
    for name, value in truth.items():
        try:
            kept = model.cache(image, [name], copy=False)[name]
        except OverwrittenError:
            continue
        wrong += [name] * bool(differing(kept, value))
    return wrong
