"""Simulated preferences over the tales of `tales_gpt`, the reward model fitted to them, and metrics of policies."""

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
    Tales,
    decode_tales,
    marks_of,
    prompts_of,
    sample_tales,
    tale_metrics,
)
from workbench.training.curve import Curve
from workbench.training.fit import fit
from workbench.training.fit_config import FitConfig
from workbench.training.rlhf.completions import Marks, completion_mask, stack_rows
from workbench.training.rlhf.preference_losses import best_of_n
from workbench.training.rlhf.reward_model import (
    Scorer,
    halves_loss,
    pair_batches,
    preference_accuracy,
    score_texts,
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
    """Reference network, its tokenizer, and the prompts of both splits."""

    reference: Any
    tokenizer: Any
    marks: Marks
    prompts: Sequence[str]
    new_prompts: Sequence[str]
    sha256: str

    @cached_property
    def encoded(self) -> list[Int[Tensor, " _"]]:
        """Tokens of the training split's prompts."""
        return [self.tokenizer.encode(prompt) for prompt in self.prompts]

    @property
    def source(self) -> DataSource:
        """Data source of a card."""
        note = (
            f"Orders; tales by {REFERENCE} (weights {self.reference.card.weights_sha256[:12]}), preferences simulated."
        )
        return DataSource("tales", self.sha256, note)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two tales for each prompt, and which one the simulated annotator prefers."""

    first: Tales
    second: Tales
    prefers_first: Bool[Tensor, " pair"]


def load_setting() -> Setting:
    """Load the committed reference and the prompts."""
    reference, data = load(REFERENCE), DATASETS["tales"]()
    tokenizer = reference.tokenizer
    prompts, new = prompts_of(data.train), prompts_of(data.validation)
    return Setting(reference.requires_grad_(False), tokenizer, marks_of(tokenizer), prompts, new, data.sha256)


def copy_model(model: Any) -> Any:
    """Copy a network, trainable."""
    other = MODELS["gpt"](model.cfg)
    other.load_state_dict(model.state_dict())
    return other.eval()


def label_pairs(setting: Setting, prompts: Sequence[str], seed: int) -> Pairs:
    """Sample two tales of the reference for each prompt and the simulated annotator's labels."""
    first, second = (
        sample_in_parts(setting, setting.reference, prompts, derived_seed(seed, name)) for name in ("one", "other")
    )
    chosen = sample_preferences(first.true_reward, second.true_reward, generator(seed, "annotator"))
    return Pairs(first, second, chosen)


def sample_in_parts(
    setting: Setting, model: Any, prompts: Sequence[str], seed: int, temperature: float = 1.0, size: int = 512
) -> Tales:
    """Sample a tale for each prompt, `size` at a time."""
    parts = [
        sample_tales(model, prompts[i : i + size], setting.tokenizer, derived_seed(seed, i), temperature)
        for i in range(0, len(prompts), size)
    ]
    return Tales.join(parts, setting.marks.end)


def training_pairs(setting: Setting, seed: int, n: int = PAIRS) -> Pairs:
    """Sample labelled pairs of tales for prompts of the training split."""
    return label_pairs(setting, setting.prompts[:n], derived_seed(seed, "training pairs"))


def read_labelled(setting: Setting, path: Path) -> Pairs:
    """Read pairs that a person judged on the dashboard's Preferences page, without those judged equal."""
    judged = [(p.prompt.strip() + "\n", *texts) for p in read(path) if (texts := p.ordered)]
    if not judged:
        raise InputError(f"{path} has no pair of which one was preferred. Judge some on the Preferences page.")
    for number, row in enumerate(judged, 1):
        if any(END_OF_TEXT in text for text in row):
            raise InputError(
                f"Judged pair {number} of {path} holds {END_OF_TEXT}, which is put after each tale. Leave it out."
            )
    prompts = [prompt for prompt, _, _ in judged]
    texts = ([setting.tokenizer.encode(row[0] + row[i] + END_OF_TEXT) for row in judged] for i in (1, 2))
    first, second = (decode_tales(stack_rows(tokens, setting.marks), prompts, setting.tokenizer) for tokens in texts)
    return Pairs(first, second, torch.ones(len(judged), dtype=torch.bool))


def scorer_from(setting: Setting, gpt: Any) -> Scorer:
    """Make a reward model of a network: the logit of " good" minus that of " bad" after a tale."""
    good, bad = (int(setting.tokenizer.encode(word)[0]) for word in (" good", " bad"))
    return Scorer(gpt, good, bad, setting.marks)


def learn_reward(
    setting: Setting, scorer: Scorer, pairs: Pairs, seed: int, cfg: FitConfig = REWARD_TRAINING,
    state: Path | None = None, progress: Progress = silent,
) -> Curve:  # fmt: skip
    """Fit a reward model to pairs in place and centre its scores on their tales."""
    first, second = pairs.first.rows, pairs.second.rows
    batch = pair_batches(
        *pad_to_same_length(first, second, setting.marks.end), pairs.prefers_first, min(PAIR_BATCH, len(first)), seed
    )
    curve = fit(scorer, batch, halves_loss, cfg, None, state, progress)
    scorer.requires_grad_(False).center(first)
    return curve


def pad_to_same_length(
    first: Int[Tensor, "row one"], second: Int[Tensor, "row other"], end: int
) -> tuple[Int[Tensor, "row longest"], Int[Tensor, "row longest"]]:
    """Pad two tables of rows to the same length."""
    length = max(first.shape[1], second.shape[1])
    one, two = (torch.nn.functional.pad(rows, (0, length - rows.shape[1]), value=end) for rows in (first, second))
    return one, two


def reward_metrics(
    setting: Setting, scorer: Scorer, seed: int, n: int = HELD_OUT, temperature: float = 1.0
) -> dict[str, Mapping[str, Any]]:
    """Measure accuracy on new simulated labels, the annotator's ceiling, and best-of-16 sampling."""
    pairs = label_pairs(setting, setting.new_prompts[:n], derived_seed(seed, "held-out pairs"))
    first, second = score_texts(scorer, pairs.first.rows), score_texts(scorer, pairs.second.rows)
    best = sample_best(setting, scorer, seed, temperature)
    named = {f"best_of_16_{name}": score for name, score in tale_metrics(best, seed).items()}
    return {
        "preference_accuracy": preference_accuracy(first, second, pairs.prefers_first),
        "annotator_ceiling": annotator_ceiling(pairs, seed),
        "best_of_16_reward": bootstrapped_mean(score_texts(scorer, best.rows), seed),
        **named,
    }


def sample_best(setting: Setting, scorer: Scorer, seed: int, temperature: float, n: int = CANDIDATES) -> Tales:
    """Sample `n` tales for each of the first new prompts and keep the one with the highest reward."""
    asked, seeds = setting.new_prompts[:BEST_OF_PROMPTS], [derived_seed(seed, "candidate", i) for i in range(n)]
    drawn = [sample_in_parts(setting, setting.reference, asked, one, temperature) for one in seeds]
    chosen = best_of_n(torch.stack([score_texts(scorer, tales.rows) for tales in drawn]))
    return Tales.join([drawn[draw].row(i) for i, draw in enumerate(chosen.tolist())], setting.marks.end)


def measure_policy(recipe: Recipe, model: Any) -> dict[str, Mapping[str, Any]]:
    """Measure a trained policy by the committed reward model."""
    setting = load_setting()
    return policy_metrics(setting, model, scorer_from(setting, load("tales_reward")), recipe.seed)


def policy_metrics(
    setting: Setting, policy: Any, scorer: Scorer, seed: int, prompts: Sequence[str] | None = None
) -> dict[str, Mapping[str, Any]]:
    """Measure a policy's new tales by reward model, annotator and grammar, and its divergence from the reference.

    `win_rate` is against a tale of the reference for the same prompt, by true reward, with ties counted half.
    `length_error` is the relative difference of mean lengths. `kl_per_token` and `kl` (of whole tales) are in nats.
    """
    asked = setting.new_prompts[:HELD_OUT] if prompts is None else prompts
    tales, base = (
        sample_in_parts(setting, model, asked, derived_seed(seed, "evaluation", name), TEMPERATURE)
        for model, name in ((policy, "policy"), (setting.reference, "reference"))
    )
    better = (tales.true_reward > base.true_reward).double() + (tales.true_reward == base.true_reward) / 2
    kl = compute_token_kl(
        policy, setting.reference, tales.rows, completion_mask(tales.rows, setting.marks), TEMPERATURE
    )
    return {
        **tale_metrics(tales, seed),
        "reward": bootstrapped_mean(score_texts(scorer, tales.rows), seed),
        "win_rate": bootstrapped_mean(better, seed),
        "reference_true_reward": bootstrapped_mean(base.true_reward, seed),
        "reference_reward": bootstrapped_mean(score_texts(scorer, base.rows), seed),
        "kl": bootstrapped_mean(kl.per_row, seed),
        "kl_per_token": mean_per_token(kl, seed),
        "length_error": length_error(tales, base, seed),
    }


def mean_per_token(kl: TokenKL, seed: int) -> Mapping[str, Any]:
    """Score the KL divergence per token, with an interval over tales."""
    sums, counts = kl.per_row.double().numpy(), kl.mask.sum(dim=1).numpy()
    score = bootstrapped_score(lambda rows: sums[rows].sum() / counts[rows].sum(), len(sums), seed)
    return score | {"value": kl.per_token, "n": int(kl.mask.sum())}


def length_error(tales: Tales, base: Tales, seed: int) -> Mapping[str, Any]:
    """Score the relative difference of the mean lengths of two sets of tales for the same prompts."""
    one, other = (x.length.double().numpy() for x in (tales, base))
    return bootstrapped_score(lambda rows: abs(one[rows].mean() / other[rows].mean() - 1), len(one), seed)


def annotator_ceiling(pairs: Pairs, seed: int) -> Mapping[str, Any]:
    """Score the accuracy on the annotator's labels of a predictor that knows the true rewards."""
    first, second = pairs.first.true_reward, pairs.second.true_reward
    return bootstrapped_score(lambda rows: max_accuracy(first[rows], second[rows]), len(first), seed)
