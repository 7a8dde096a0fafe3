"""Preferences over the tales of `tales_gpt`, simulated, the reward model they teach, and how a policy is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from workbench.analysis.rlhf.token_kl import TokenKL, compute_token_kl
from workbench.checkpoints.card import DataSource
from workbench.checkpoints.store import load
from workbench.core.errors import InputError
from workbench.core.progress import Progress, silent
from workbench.core.random import derived_seed, generator
from workbench.core.registry import DATASETS, MODELS
from workbench.data.text.annotator import max_accuracy, sample_preferences
from workbench.data.text.byte_pairs import END_OF_TEXT
from workbench.data.text.preferences import read
from workbench.recipes.recipe import Recipe
from workbench.recipes.trainings.tales_outcomes import (
    TEMPERATURE,
    Told,
    marks_of,
    prompts_of,
    read_back,
    tale_metrics,
    told_by,
)
from workbench.training.curve import Curve
from workbench.training.fit_config import FitConfig
from workbench.training.rlhf.completions import Marks, completion_mask, stack_rows
from workbench.training.rlhf.preference_losses import best_of_n
from workbench.training.rlhf.reward_model import (
    Scorer,
    pair_batches,
    preference_accuracy,
    score_texts,
    train_reward_model,
)
from workbench.training.scores import bootstrapped_mean, bootstrapped_score

REFERENCE = "tales_gpt"
PAIRS, HELD_OUT, CANDIDATES, BEST_OF_PROMPTS = 2048, 500, 16, 128
REWARD_TRAINING = FitConfig(
    steps=128, lr=1e-3, betas=(0.9, 0.99), schedule="cosine", warmup=10, gradient_clip=1.0, precision="bf16"
)
PAIR_BATCH = 32


@dataclass(frozen=True)
class Setting:
    """The fine-tuned network that is the reference, its tokenizer, and the orders of both splits."""

    reference: Any
    tokenizer: Any
    marks: Marks
    prompts: Sequence[str]
    new_prompts: Sequence[str]
    sha256: str

    @cached_property
    def encoded(self) -> list[Int[Tensor, " _"]]:
        """The training split's orders in tokens."""
        return [self.tokenizer.encode(prompt) for prompt in self.prompts]

    @property
    def source(self) -> DataSource:
        """What a card says of the data."""
        note = (
            f"Orders; tales by {REFERENCE} (weights {self.reference.card.weights_sha256[:12]}), preferences simulated."
        )
        return DataSource("tales", self.sha256, note)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two tales for each order, and which one the simulated annotator prefers."""

    first: Told
    second: Told
    prefers_first: Bool[Tensor, " pair"]


def setting() -> Setting:
    """The committed reference and the orders."""
    reference, data = load(REFERENCE), DATASETS["tales"]()
    tokenizer = reference.tokenizer
    prompts, new = prompts_of(data.train), prompts_of(data.validation)
    return Setting(reference.requires_grad_(False), tokenizer, marks_of(tokenizer), prompts, new, data.sha256)


def copied(model: Any) -> Any:
    """Another network of the same weights, which can learn."""
    other = MODELS["gpt"](model.cfg)
    other.load_state_dict(model.state_dict())
    return other.eval()


def labelled(at: Setting, prompts: Sequence[str], seed: int) -> Pairs:
    """Two tales of the reference for each order, with the simulated annotator's labels."""
    first, second = (told_in_parts(at, at.reference, prompts, derived_seed(seed, name)) for name in ("one", "other"))
    chosen = sample_preferences(first.true_reward, second.true_reward, generator(seed, "annotator"))
    return Pairs(first, second, chosen)


def told_in_parts(
    at: Setting, model: Any, prompts: Sequence[str], seed: int, temperature: float = 1.0, size: int = 512
) -> Told:
    """A tale for each order, sampled `size` at a time."""
    parts = [
        told_by(model, prompts[i : i + size], at.tokenizer, derived_seed(seed, i), temperature)
        for i in range(0, len(prompts), size)
    ]
    return Told.joined(parts, at.marks.end)


def training_pairs(at: Setting, seed: int, n: int = PAIRS) -> Pairs:
    """Labelled pairs of tales for orders of the training split."""
    return labelled(at, at.prompts[:n], derived_seed(seed, "training pairs"))


def labelled_by_person(at: Setting, path: Path) -> Pairs:
    """Pairs that a person judged on the dashboard's Preferences page; those judged equal teach nothing."""
    judged = [(p.prompt.strip() + "\n", *texts) for p in read(path) if (texts := p.ordered)]
    if not judged:
        raise InputError(f"{path} has no pair of which one was preferred. Judge some on the Preferences page.")
    for number, row in enumerate(judged, 1):
        if any(END_OF_TEXT in text for text in row):
            raise InputError(
                f"Judged pair {number} of {path} holds {END_OF_TEXT}, which is put after each tale. Leave it out."
            )
    prompts = [prompt for prompt, _, _ in judged]
    texts = ([at.tokenizer.encode(row[0] + row[i] + END_OF_TEXT) for row in judged] for i in (1, 2))
    first, second = (read_back(stack_rows(tokens, at.marks), prompts, at.tokenizer) for tokens in texts)
    return Pairs(first, second, torch.ones(len(judged), dtype=torch.bool))


def scorer_from(at: Setting, gpt: Any) -> Scorer:
    """A network as reward model: its verdict after a tale is the logit of " good" minus that of " bad"."""
    good, bad = (int(at.tokenizer.encode(word)[0]) for word in (" good", " bad"))
    return Scorer(gpt, good, bad, at.marks)


def learn_reward(
    at: Setting, scorer: Scorer, pairs: Pairs, seed: int, cfg: FitConfig = REWARD_TRAINING,
    state: Path | None = None, progress: Progress = silent,
) -> Curve:  # fmt: skip
    """Fits a reward model to pairs in place; its scores of their tales have mean zero afterwards."""
    first, second = pairs.first.rows, pairs.second.rows
    batch = pair_batches(
        *equally_long(first, second, at.marks.end), pairs.prefers_first, min(PAIR_BATCH, len(first)), seed
    )
    curve = train_reward_model(scorer, batch, cfg, None, state, progress)
    scorer.requires_grad_(False).center(first)
    return curve


def equally_long(
    first: Int[Tensor, "row one"], second: Int[Tensor, "row other"], end: int
) -> tuple[Int[Tensor, "row longest"], Int[Tensor, "row longest"]]:
    """Two tables of rows filled up to one length."""
    length = max(first.shape[1], second.shape[1])
    one, two = (torch.nn.functional.pad(rows, (0, length - rows.shape[1]), value=end) for rows in (first, second))
    return one, two


def reward_metrics(
    at: Setting, scorer: Scorer, seed: int, n: int = HELD_OUT, temperature: float = 1.0
) -> dict[str, Mapping[str, Any]]:
    """Accuracy on new simulated labels beside the annotator's ceiling, and the best of 16 by this reward model."""
    pairs = labelled(at, at.new_prompts[:n], derived_seed(seed, "held-out pairs"))
    first, second = score_texts(scorer, pairs.first.rows), score_texts(scorer, pairs.second.rows)
    best = best_of(at, scorer, seed, temperature)
    named = {f"best_of_16_{name}": score for name, score in tale_metrics(best, seed).items()}
    return {
        "preference_accuracy": preference_accuracy(first, second, pairs.prefers_first),
        "annotator_ceiling": best_accuracy(pairs, seed),
        "best_of_16_reward": bootstrapped_mean(score_texts(scorer, best.rows), seed),
        **named,
    }


def best_of(at: Setting, scorer: Scorer, seed: int, temperature: float, n: int = CANDIDATES) -> Told:
    """The reward model's choice of `n` tales for each of the first new orders."""
    asked, seeds = at.new_prompts[:BEST_OF_PROMPTS], [derived_seed(seed, "candidate", i) for i in range(n)]
    drawn = [told_in_parts(at, at.reference, asked, one, temperature) for one in seeds]
    chosen = best_of_n(torch.stack([score_texts(scorer, told.rows) for told in drawn]))
    return Told.joined([drawn[draw].row(i) for i, draw in enumerate(chosen.tolist())], at.marks.end)


def policy_measured(recipe: Recipe, model: Any) -> dict[str, Mapping[str, Any]]:
    """A trained policy's metrics by the committed reward model."""
    at = setting()
    return policy_metrics(at, model, scorer_from(at, load("tales_reward")), recipe.seed)


def policy_metrics(
    at: Setting, policy: Any, scorer: Scorer, seed: int, prompts: Sequence[str] | None = None
) -> dict[str, Mapping[str, Any]]:
    """A policy's new tales as the reward model, the annotator and the grammar see them, and how far it has moved.

    `win_rate` is against a tale of the reference for the same order, by true reward, ties half; `length_error` the
    relative difference of mean lengths; `kl_per_token` and `kl` (of whole tales) are in nats.
    """
    asked = at.new_prompts[:HELD_OUT] if prompts is None else prompts
    told, plain = (
        told_in_parts(at, model, asked, derived_seed(seed, "evaluation", name), TEMPERATURE)
        for model, name in ((policy, "policy"), (at.reference, "reference"))
    )
    better = (told.true_reward > plain.true_reward).double() + (told.true_reward == plain.true_reward) / 2
    kl = compute_token_kl(policy, at.reference, told.rows, completion_mask(told.rows, at.marks), TEMPERATURE)
    return {
        **tale_metrics(told, seed),
        "reward": bootstrapped_mean(score_texts(scorer, told.rows), seed),
        "win_rate": bootstrapped_mean(better, seed),
        "reference_true_reward": bootstrapped_mean(plain.true_reward, seed),
        "reference_reward": bootstrapped_mean(score_texts(scorer, plain.rows), seed),
        "kl": bootstrapped_mean(kl.per_row, seed),
        "kl_per_token": mean_per_token(kl, seed),
        "length_error": length_error(told, plain, seed),
    }


def mean_per_token(kl: TokenKL, seed: int) -> Mapping[str, Any]:
    """The KL divergence per token, with an interval over the tales that the tokens are of."""
    sums, counts = kl.per_row.double().numpy(), kl.mask.sum(dim=1).numpy()
    score = bootstrapped_score(lambda rows: sums[rows].sum() / counts[rows].sum(), len(sums), seed)
    return score | {"value": kl.per_token, "n": int(kl.mask.sum())}


def length_error(told: Told, plain: Told, seed: int) -> Mapping[str, Any]:
    """Relative difference of the mean lengths of two sets of tales for the same orders."""
    one, other = (tales.length.double().numpy() for tales in (told, plain))
    return bootstrapped_score(lambda rows: abs(one[rows].mean() / other[rows].mean() - 1), len(one), seed)


def best_accuracy(pairs: Pairs, seed: int) -> Mapping[str, Any]:
    """Accuracy on the annotator's labels of a predictor that knows the true rewards."""
    first, second = pairs.first.true_reward, pairs.second.true_reward
    return bootstrapped_score(lambda rows: max_accuracy(first[rows], second[rows]), len(first), seed)
