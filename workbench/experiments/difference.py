"""Compare models tuned from one GPT with it, and measure the effect of restoring parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from workbench.analysis.rlhf.difference import Difference, Trace
from workbench.analysis.rlhf.restoring import (
    Extend,
    Restoration,
    make_restoration,
    patch_along,
    restore_activations,
    restore_weights,
)
from workbench.analysis.rlhf.token_kl import compute_token_kl
from workbench.analysis.rlhf.weight_change import StreamShift, measure_stream_shift, measure_weight_change
from workbench.analysis.steps import Steps
from workbench.checkpoints.card import names, read_card, split_step
from workbench.checkpoints.store import load
from workbench.core.arguments import check_arguments
from workbench.core.errors import InputError
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import PositiveInt, Seed
from workbench.core.registry import DATASETS, RECIPES
from workbench.data.tasks.sequences import UNSCORED
from workbench.data.text.questions import QuestionData, encode_answers
from workbench.recipes.trainings.tales_outcomes import N_NEW, TEMPERATURE, decode_tales, marks_of, prompts_of
from workbench.training.rlhf.completions import completion_mask
from workbench.zoo.layers.sampling import SamplingConfig
from workbench.zoo.lora_gpt import LoRAGPT

TALES = "tales"
EXAMPLES, SAMPLING = 64, SamplingConfig(TEMPERATURE)
Rows = Int[Tensor, "row pos"]


@dataclass(frozen=True)
class Tales:
    """Tales that a model writes to order, scored on every token; a tale's worth is the simulated annotator's reward."""

    prompts: tuple[str, ...]
    tokenizer: Any
    seed: int
    unit = "true reward"
    temperature = TEMPERATURE

    def rows(self, model: Any, extend: Extend | None = None) -> Rows:
        """Write a tale for every order, with the same random numbers for every model."""
        prompts, end = [self.tokenizer.encode(prompt) for prompt in self.prompts], marks_of(self.tokenizer).end
        return model.complete(prompts, N_NEW, end, generator(self.seed, "compared"), SAMPLING, extend)

    def mark_counted(self, rows: Rows) -> Bool[Tensor, "row pos"]:
        """Return the tokens of the tales."""
        return completion_mask(rows, marks_of(self.tokenizer))

    def worth(self, model: Any, extend: Extend | None = None) -> Float[Tensor, " row"]:
        """Return the true reward of the tales."""
        return decode_tales(self.rows(model, extend), self.prompts, self.tokenizer).true_reward.float()


@dataclass(frozen=True, eq=False)
class Answers:
    """Questions with their right answers, scored on the answer's tokens; the worth is the answer's log likelihood."""

    inputs: Rows
    targets: Rows
    unit = "log-probability of the right answer"
    temperature = 1.0

    def rows(self, model: Any) -> Rows:
        """Return the same rows for every model."""
        return torch.cat([self.inputs, self.targets[:, -1:]], dim=1)

    def mark_counted(self, rows: Rows) -> Bool[Tensor, "row pos"]:
        """Return the tokens of the answers."""
        return torch.cat([torch.zeros(len(rows), 1, dtype=torch.bool), self.targets != UNSCORED], dim=1)

    @torch.no_grad()
    def worth(self, model: Any, extend: Extend | None = None) -> Float[Tensor, " row"]:
        """Return the sum over an answer's tokens, in nats."""
        logits = (extend or model)(self.inputs)
        losses = cross_entropy(logits.transpose(1, 2), self.targets, ignore_index=UNSCORED, reduction="none")
        return -losses.sum(dim=1)


Work = Tales | Answers


def tuned_models() -> dict[str, str]:
    """Map each trained model that was tuned from another one to that one."""
    recipes = {name: read_card(name).recipe for name in names()}
    based_on = {name: RECIPES[recipe].based_on for name, recipe in recipes.items() if recipe in RECIPES}
    return {name: original for name, original in based_on.items() if original}


def tuned_beside(name: str) -> list[str]:
    """List the other models that were tuned from the same one to the same task, by the name of their data."""
    known = tuned_models()

    def kind(one: str) -> tuple[str, str]:
        return known[one], read_card(one).data.name

    return [other for other in known if other != name and kind(other) == kind(name)]


def original_of(tuned: Sequence[str]) -> str:
    """Return the model that all of these were tuned from."""
    known = tuned_models()
    if not tuned:
        raise InputError(f"Name one or more models. There are {', '.join(known)}.")
    for name in (split_step(one)[0] for one in tuned):
        if read_card(name) and name not in known:
            raise InputError(f"{name} was tuned from no other model here. Choose from {', '.join(known)}.")
    found = sorted({known[split_step(name)[0]] for name in tuned})
    if len(found) != 1:
        raise InputError(
            f"These were tuned from {' and '.join(found)}. Choose models of one origin, or give --original."
        )
    return found[0]


@check_arguments
def trace(
    tuned: Sequence[str] | str,
    original: str = "",
    examples: PositiveInt = EXAMPLES,
    seed: Seed = 0,
    restore: bool = False,
    progress: Progress = silent,
) -> Trace:
    """Compare models with the one that they were tuned from, each on its own outputs.

    Costs one generation and two passes of each model. To `restore`, also one generation by each of the two models for
    every part: one per head and six more for each layer, and two for embedding and read-out.
    """
    tuned = [tuned] if isinstance(tuned, str) else tuned
    original = original or original_of(tuned)
    before, found = comparable(original), {}
    each = conditions(before, restore)
    steps = Steps(progress, each * len(tuned))
    for i, name in enumerate(tuned):
        steps.pulse()
        after = comparable(name)
        if after.tokenizer.to_json() != before.tokenizer.to_json():
            raise InputError(f"{name} reads other tokens than {original}. Compare models of one tokenizer.")
        work = work_of(name, after, examples, seed)
        found[name] = difference(after, before, work, restore, predicts_tokens(name), steps)
        steps.done = each * (i + 1)
        steps.pulse()
    return Trace(original, found, tuple(weight_parts(before)), work.unit, tuple(before.tokenizer.tokens))


def comparable(name: str) -> Any:
    """Load a trained model with its adapters merged into its weights."""
    model: Any = load(name)
    if isinstance(model, LoRAGPT):
        card, tokenizer = model.card, model.tokenizer
        model = model.merge()
        model.card, model.tokenizer = card, tokenizer
    return model.requires_grad_(False)


def work_of(name: str, model: Any, examples: int, seed: int) -> Work:
    """Return the rows that a model was tuned for: tales for new orders, or answers to the test questions."""
    data: Any = DATASETS[model.card.data.name]() if model.card.data.name in DATASETS else None
    if model.card.data.name == TALES:
        return Tales(tuple(prompts_of(data.validation)[:examples]), model.tokenizer, seed)
    if not isinstance(data, QuestionData):
        raise InputError(f"{name} neither tells tales nor answers questions. Choose from {', '.join(tuned_models())}.")
    drawn = torch.randperm(len(data.test), generator=generator(seed, "compared"))[:examples].tolist()
    pairs = [(data.test[i].prompt, data.test[i].answer) for i in drawn]
    return Answers(*encode_answers(pairs, model.tokenizer))


def predicts_tokens(name: str) -> bool:
    """Test that the head of a trained model predicts tokens; that of a reward model scores a whole tale."""
    card = read_card(name)
    return card.data.name != TALES or "true_reward" in card.metrics


def difference(
    tuned: Any,
    original: Any,
    work: Work,
    restore: bool = False,
    predicts: bool = True,
    steps: Steps | None = None,
) -> Difference:
    """Compare one model with the original and, to `restore`, measure the effect of restoring each part.

    A model that does not predict tokens writes nothing: it is compared on what the original writes, without a KL.
    """
    steps = steps or Steps(silent, conditions(original, restore))
    rows = work.rows(tuned if predicts else original)
    steps.finish()
    counted = work.mark_counted(rows)
    kl = compute_token_kl(tuned, original, rows, counted, work.temperature) if predicts else None
    steps.finish()
    shift = measure_stream_shift(tuned, original, rows[:, :-1], counted[:, 1:])  # where the tokens counted are foretold
    steps.finish()
    restored = bring_back(tuned, original, work, shift, steps) if restore and predicts else {}
    return Difference(measure_weight_change(tuned, original), kl, shift, restored)


def conditions(model: Any, restore: bool) -> int:
    """Count the steps of one comparison: rows, KL and shift, and each score of restored parts and of both models."""
    restored = len(activation_parts(model)) + len(weight_parts(model)) + model.cfg.n_layers
    return 3 + (restored + 6) * restore


def activation_parts(model: Any) -> dict[str, list[str]]:
    """List the residual stream after each block, each MLP, each layer's attention and each head."""
    parts: dict[str, list[str]] = {}
    for layer in range(model.cfg.n_layers):
        block = f"blocks.{layer}"
        heads = [f"{block}.attn.hook_z[head={head}]" for head in range(model.cfg.n_heads)]
        parts |= {f"{block}.hook_resid_post": [f"{block}.hook_resid_post"], f"{block}.attn": [f"{block}.hook_attn_out"]}
        parts |= {f"{block}.mlp": [f"{block}.hook_mlp_out"]} | {head: [head] for head in heads}
    return parts


def weight_parts(model: Any) -> dict[str, str]:
    """List the prefixes of the weights of the embedding, each layer's attention and MLP, and the read-out."""
    layers = [f"blocks.{layer}.{part}" for layer in range(model.cfg.n_layers) for part in ("attn", "mlp")]
    return {name: name for name in ("embed", *layers, "ln_final")}


def bring_back(tuned: Any, original: Any, work: Work, shift: StreamShift, steps: Steps) -> dict[str, Restoration]:
    """Measure the worth of rows with activations, weights, or the mean shift of the stream restored."""
    lines = dict(zip(shift.hooks, shift.direction, strict=True))
    worth = steps.count(work.worth)
    rows = [worth(tuned, patch_along(tuned, original, hook, v)) for hook, v in lines.items()]
    return {
        "activations": restore_activations(tuned, original, activation_parts(tuned), worth),
        "weights": restore_weights(tuned, original, weight_parts(tuned), worth),
        "the stream along its mean shift": make_restoration(tuple(lines), rows, tuned, original, worth),
    }
