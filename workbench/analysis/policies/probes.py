"""Linear probes on activations, with the raw input and a random network as controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from workbench.analysis.policies.episodes import run_episodes
from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.protocols import World
from workbench.core.ranges import PositiveInt
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class Probes(Result):
    """Held-out score of a linear probe on each source of features: R2 of numbers, balanced accuracy of classes.

    `sources` starts with "raw input"; each hook is followed by the same hook in a random network. `chance` is the score
    without features. Folds never share an episode.
    """

    view: ClassVar[View] = View(
        main="score", rows="by_fold", interval=lambda r: r.by_fold.aminmax(dim=1), level="chance",
        title="Linear probes, on held-out episodes",
        sentence="Held-out score of a linear probe over {n:,} states: {score:list}; chance {chance}.",
    )  # fmt: skip

    sources: tuple[str, ...]
    score: Float[Tensor, " source"]
    by_fold: Float[Tensor, "source fold"]
    chance: float
    n: int

    def beyond_controls(self, hook: str) -> float:
        """Return the score of a hook minus the larger of raw input and random network."""
        at = self.sources.index(hook)
        return float(self.score[at] - max(self.score[0], self.score[at + 1]))


@ANALYSES.register("probes")
@needs_axes("action")
def probe_episodes(
    model: HookedModel,
    world: World,
    hook: str,
    target: Literal["return_to_go", "steps_left", "action"] = "return_to_go",
    episodes: PositiveInt = 20,
    states: PositiveInt = 600,
    seed: int = 0,
) -> Probes:
    """Fit a linear probe to an activation in a policy's greedy episodes, with raw input and random network as controls.

    Args:
        model: A policy.
        world: Environment of the policy.
        hook: Name or glob of the hooks to probe.
        target: "return_to_go" is the discounted future return, "steps_left" the number of steps to the end of the
            episode, "action" the greedy action.
        episodes: Number of episodes.
        states: Number of states for the probe, evenly spaced over the episodes.
        seed: Seeds the episodes and the random network.

    Returns:
        A `Probes`: the score of each source in each fold.

    Raises:
        InputError: If there are fewer episodes than folds, or the target is constant.

    Cost: the episodes, 2 forward passes, and 5 fits per source.

    References: Alain and Bengio 2016; Hewitt and Liang 2019.

    Example:
        >>> hook = "actor.blocks.1.hook_post"
        >>> found = workbench.run("probes", model="cartpole_ppo", hook=hook, target="action", episodes=5, states=100)
        >>> found.sources[:2], bool(found.score[1] > found.chance)
        (('raw input', 'actor.blocks.1.hook_post'), True)
    """
    with model.lock:
        met = collect_states(model, world, range(seed, seed + episodes))
        rows = torch.linspace(0, len(met.episode) - 1, min(states, len(met.episode))).long()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            random: Any = type(model)(model.cfg)
        read = getattr(met, target)[rows]
        return probe(model, random.eval(), met.observation[rows], read, met.episode[rows], model.select(hook))


@dataclass(frozen=True)
class EpisodeStates:
    """All states of some greedy episodes with the possible targets of a probe."""

    observation: Float[Tensor, "state *observation"]
    episode: Int[Tensor, " state"]
    action: Int[Tensor, " state"]
    steps_left: Float[Tensor, " state"]
    return_to_go: Float[Tensor, " state"]


@torch.no_grad()
def collect_states(model: HookedModel, world: World, seeds: Sequence[int]) -> EpisodeStates:
    """Run greedy episodes with these seeds and collect their states in order of time."""
    choose = lambda observation, rows: logits_of(model(observation)).argmax(dim=-1)
    steps = list(run_episodes(choose, world.rows(len(seeds)), seeds))
    left, gain = torch.zeros(len(seeds)), torch.zeros(len(seeds))
    lefts, gains = [], []
    for step in reversed(steps):
        left[step.rows] += 1
        gain[step.rows] = step.reward.float() + world.discount * gain[step.rows]
        lefts.append(left[step.rows])
        gains.append(gain[step.rows])
    parts = (
        [s.observation for s in steps],
        [s.rows for s in steps],
        [s.action for s in steps],
        lefts[::-1],
        gains[::-1],
    )
    return EpisodeStates(*map(torch.cat, parts))


def probe(
    model: HookedModel,
    random: HookedModel,
    observations: Float[Tensor, "batch *observation"],
    target: Shaped[Tensor, " batch"],
    episode: Int[Tensor, " batch"],
    hooks: Sequence[str],
    folds: int = 5,
) -> Probes:
    """Fit linear probes to `target` at each hook, and to the controls.

    Ridge regression for floating targets, logistic regression for classes, on standardized features. Scores are
    cross-validated with episodes as groups; the ridge penalty is chosen inside each fold.

    Args:
        model: The network.
        random: The same architecture with random weights.
        observations: Inputs of both networks.
        target: Value to predict for each observation.
        episode: Episode of each observation.
        hooks: Names of hooks.
        folds: Number of folds.

    Cost: 2 forward passes, and 1 fit per source and fold.
    """
    if len(episode.unique()) < folds:
        raise InputError(
            f"{folds} folds need at least {folds} episodes, got {len(episode.unique())}. Run more episodes."
        )
    if len(target.unique()) < 2:
        raise InputError("The target has the same value in all states. Choose another target or run more episodes.")
    features: dict[str, Tensor] = {"raw input": observations.flatten(1)}
    with torch.no_grad():
        own, other = model.cache(observations, list(hooks)), random.cache(observations, list(hooks))
    for hook in own:
        features |= {hook: own[hook].flatten(1), f"{hook} of a random network": other[hook].flatten(1)}
    scores = cross_validate(features, target, episode, folds)
    names = tuple(features)
    chance = 0.0 if target.is_floating_point() else 1 / len(target.unique())
    return Probes(names, scores.mean(dim=1), scores, chance, len(target))


def cross_validate(
    features: Mapping[str, Float[Tensor, "batch entry"]], target: Tensor, episode: Tensor, folds: int
) -> Float[Tensor, "source fold"]:
    """Return the held-out score of each source in each fold."""
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers = target.is_floating_point()
    if numbers:
        fit, kind = RidgeCV(alphas=np.logspace(-3, 4, 15)), "r2"
    else:
        fit, kind = LogisticRegression(C=1.0, max_iter=2000), "balanced_accuracy"
    line, rows = make_pipeline(StandardScaler(), fit), []
    for x in features.values():
        split = GroupKFold(folds)
        rows.append(
            cross_val_score(line, x.double().numpy(), target.numpy(), groups=episode.numpy(), cv=split, scoring=kind)
        )
    return torch.tensor(np.stack(rows))
