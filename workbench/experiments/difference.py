"""What tuning changed in a GPT that tells tales, and what brings the old behaviour back: two checkpoints compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor

from workbench.analysis.rlhf.restoring import Restoration, along, compared, restore_activations, restore_weights
from workbench.analysis.rlhf.token_kl import TokenKL, token_kl
from workbench.analysis.rlhf.weight_change import StreamShift, WeightChange, stream_shift, weight_change
from workbench.checkpoints.store import load
from workbench.core.errors import InputError
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.recipes.tales_outcomes import N_NEW, TEMPERATURE, marks_of, prompts_of, read_back
from workbench.training.rlhf.completions import Marks, completion_mask
from workbench.zoo.layers.sampling import Sampling

TALES, SAMPLING = 128, Sampling(TEMPERATURE)


@dataclass(frozen=True)
class Difference:
    """How a tuned model differs from the original: weights, KL before each token of its own tales, residual stream."""

    weights: WeightChange
    kl: TokenKL
    shift: StreamShift
    tokens: tuple[str, ...]
    """The vocabulary as one reads it."""


@dataclass(frozen=True)
class Pair:
    """A tuned model and what it was tuned from, of one tokenizer, both of which write tales for the same orders."""

    tuned: Any
    original: Any
    prompts: tuple[str, ...]
    seed: int

    @property
    def marks(self) -> Marks:
        """What ends an order, and a tale."""
        return marks_of(self.original.tokenizer)

    def write(self, model: Any, extend: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """A tale for every order, as tokens; the same random numbers whoever writes."""
        prompts = [self.original.tokenizer.encode(prompt) for prompt in self.prompts]
        return model.complete(prompts, N_NEW, self.marks.end, generator(self.seed, "compared"), SAMPLING, extend)

    def true_reward(self, rows: Tensor) -> Float[Tensor, " row"]:
        """What the simulated annotator thinks of the tales."""
        return read_back(rows, self.prompts, self.original.tokenizer).true_reward.float()


def pair_of(tuned: str, original: str, seed: int = 0, tales: int = TALES) -> Pair:
    """Two trained networks by name, and new orders to write tales for."""
    models = [load(name) for name in (tuned, original)]
    for name, model in zip((tuned, original), models, strict=True):
        if model.card.data.name != "tales":
            raise InputError(f"{name} tells no tales. Compare two that do, such as tales_hacked and tales_gpt.")
    prompts = prompts_of(DATASETS["tales"]().validation)[:tales]
    return Pair(models[0], models[1], tuple(prompts), seed)


def difference(pair: Pair) -> Difference:
    """Everything that can be read off without changing anything. Costs one writing and two passes of each model."""
    rows = pair.write(pair.tuned)
    counted = completion_mask(rows, pair.marks)
    kl = token_kl(pair.tuned, pair.original, rows, counted, TEMPERATURE)
    shift = stream_shift(pair.tuned, pair.original, rows, counted)
    weights = weight_change(pair.tuned, pair.original)
    return Difference(weights, kl, shift, tuple(pair.original.tokenizer.tokens))


def activation_parts(model: Any) -> dict[str, list[str]]:
    """The residual stream after each block, each MLP, each layer's attention and each of its heads."""
    parts: dict[str, list[str]] = {}
    for layer in range(model.cfg.n_layers):
        block = f"blocks.{layer}"
        heads = [f"{block}.attn.hook_z[head={head}]" for head in range(model.cfg.n_heads)]
        parts |= {f"{block}.hook_resid_post": [f"{block}.hook_resid_post"], f"{block}.attn": [f"{block}.hook_attn_out"]}
        parts |= {f"{block}.mlp": [f"{block}.hook_mlp_out"]} | {head: [head] for head in heads}
    return parts


def weight_parts(model: Any) -> dict[str, str]:
    """The embedding, each layer's attention and MLP, the final norm and read-out, by the prefix of their weights."""
    layers = [f"blocks.{layer}.{part}" for layer in range(model.cfg.n_layers) for part in ("attn", "mlp")]
    return {name: name for name in ("embed", *layers, "ln_final")}


def bring_back(pair: Pair, shift: StreamShift) -> Mapping[str, Restoration]:
    """The true reward with parts restored: activations, weights, and the stream along its mean shift alone.

    Costs one writing for each part, two where activations are restored.
    """
    tuned, original = pair.tuned, pair.original
    lines = dict(zip(shift.hooks, shift.direction, strict=True))
    rows = [pair.true_reward(pair.write(tuned, along(tuned, original, hook, v))) for hook, v in lines.items()]
    write = cast(Any, pair.write)
    return {
        "activations": restore_activations(tuned, original, activation_parts(tuned), write, pair.true_reward),
        "weights": restore_weights(tuned, original, weight_parts(tuned), write, pair.true_reward),
        "direction": compared(tuple(lines), rows, tuned, original, write, pair.true_reward),
    }
