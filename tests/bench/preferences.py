"""Table of preference learning from the committed cards, with a short check of the cards."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.harness import Figure
from workbench.checkpoints.card import Score, names, read_card
from workbench.checkpoints.store import load
from workbench.core.registry import RECIPES
from workbench.recipes.trainings.tales_preferences import load_setting, policy_metrics, scorer_from

COLUMNS = ("true_reward", "reward", "win_rate", "kl", "kl_per_token", "grammatical", "unique", "length")
POLICIES = ("tales_ppo", "tales_dpo", "tales_hacked")
GATED = ("tales_ppo", "tales_dpo")
SEEDS = ("", "_seed_1", "_seed_2")
QUICK = 128


def table() -> Iterator[Figure]:
    """Each policy's figures for each seed, best of 16 beside them, the worst seed's gates, and a new sample."""
    for name in ("true_reward", "grammatical", "unique", "length"):
        yield line("tales_gpt", name)
    for name in ("preference_accuracy", "annotator_ceiling"):
        yield line("tales_reward", name)
    for name in ("true_reward", "reward", "grammatical", "unique", "length"):
        yield line("tales_reward", f"best_of_16_{name}")
    for model in committed():
        scores = read_card(model).metrics
        for name in (f"{column}{seed}" for seed in SEEDS for column in COLUMNS):
            if name in scores:
                yield line(model, name)
    for model in GATED:
        for gate, bound in RECIPES[model].targets.items():
            yield line(model, gate, f"{'<=' if gate.endswith('error') else '>='} {bound:g}")
    yield from again()


def committed() -> list[str]:
    """The policies that are there."""
    return [model for model in POLICIES if model in names()]


def line(model: str, name: str, target: str | None = None) -> Figure:
    """One figure of a card, with its interval and number in the unit."""
    score: Score = read_card(model).metrics[name]
    interval = "" if score.interval is None else f", 95 % interval {score.interval[0]:.3g} to {score.interval[1]:.3g}"
    return Figure(f"rl.rlhf.{model}.{name}", score.value, f"n = {score.n:,}{interval}", target=target)


def again() -> Iterator[Figure]:
    """The committed policies' true reward on tales written now, less what their cards say."""
    at = load_setting()
    scorer = scorer_from(at, load("tales_reward"))
    for model in committed():
        found = policy_metrics(at, load(model), scorer, seed=100, prompts=at.new_prompts[-QUICK:])
        difference = abs(found["true_reward"]["value"] - read_card(model).metrics["true_reward"].value)
        unit = f"true reward, {QUICK} new tales against the card"
        yield Figure(f"rl.rlhf.{model}.again", difference, unit, target="<= 0.5")
