"""Human preferences: pairs of tales to judge, the file of judgements, and their agreement with the true reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from workbench.checkpoints.card import read_card
from workbench.core.errors import InputError
from workbench.core.random import derived_seed
from workbench.core.registry import DATASETS
from workbench.data.text.annotator import true_reward
from workbench.data.text.preferences import Choice, Preference, append
from workbench.experiments.computing import loaded
from workbench.experiments.store.dependencies import current_key
from workbench.experiments.store.run_log import runs_folder
from workbench.recipes.trainings.tales_outcomes import TEMPERATURE, prompts_of, sample_tales

TALES = "tales"


@dataclass(frozen=True)
class Shown:
    """An order and two tales written for it, in random positions."""

    model: str
    pair: int
    seed: int
    prompt: str
    left: str
    right: str
    swapped: bool


def tells_tales(model: str) -> bool:
    """Test that a trained network writes tales to order; a reward model only scores them."""
    return read_card(model).data.name == TALES and "true_reward" in read_card(model).metrics


def pair_to_judge(model: str, pair: int, seed: int) -> Shown:
    """Return a pair of tales that the model writes for a new order. The same numbers give the same pair."""
    if not tells_tales(model):
        raise InputError(f"{model} tells no tales. Choose one that does, such as tales_gpt.")
    return _pair_to_judge(model, pair, seed, current_key([model], data=[TALES]))


@lru_cache(maxsize=64)
def _pair_to_judge(model: str, pair: int, seed: int, key: str) -> Shown:
    prompts, network = prompts_of(DATASETS[TALES]().validation), loaded(model)
    drawn = Random(derived_seed(seed, "pair", pair))
    prompt = drawn.choice(prompts)
    with network.lock:
        tales = sample_tales(
            network, [prompt] * 2, network.tokenizer, derived_seed(seed, "tales", pair), TEMPERATURE
        ).tales
    swapped = drawn.random() < 0.5
    left, right = tales[::-1] if swapped else tales
    return Shown(model, pair, seed, prompt.strip(), left, right, swapped)


def labels_file(model: str) -> Path:
    """Return the path of the judgements of a model's tales, one line of JSON each."""
    return runs_folder() / "preferences" / f"{model}.jsonl"


def judge(pair: Shown, chosen: Choice, annotator: str) -> None:
    """Append a judgement to its file."""
    kept = Preference(pair.prompt, pair.left, pair.right, chosen, pair.swapped, pair.model, pair.pair, pair.seed,
                      annotator.strip() or "anonymous")  # fmt: skip
    append(labels_file(pair.model), kept)


def agreement(preferences: Sequence[Preference]) -> tuple[int, int]:
    """Count the judgements that agree with the simulated annotator's true reward, and all that it can decide."""
    judged = [(p.prompt + "\n", *texts) for p in preferences if (texts := p.ordered)]
    gaps = [true_reward(prompt, better) - true_reward(prompt, worse) for prompt, better, worse in judged]
    return sum(gap > 0 for gap in gaps), sum(gap != 0 for gap in gaps)
