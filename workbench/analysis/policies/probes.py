"""Linear probes: what can be read off an activation, beside what the raw input and a random network already show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from workbench.analysis.policies.episodes import run_episodes
from workbench.core.errors import InputError
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.metrics import logits_of
from workbench.core.protocols import World
from workbench.core.registry import ANALYSES


@dataclass(frozen=True)
class Probes:
    """Held-out score of a linear probe on each source of features: R2 of numbers, balanced accuracy of classes.

    `sources` begins with "raw input"; a hook's own score is followed by that of the same hook in a random network.
    `chance` is what ignoring the features scores. Folds never share an episode.
    """

    sources: tuple[str, ...]
    score: Float[Tensor, " source"]
    by_fold: Float[Tensor, "source fold"]
    chance: float
    n: int

    def beyond_controls(self, hook: str) -> float:
        """Score of a hook minus the better of raw input and random network."""
        at = self.sources.index(hook)
        return float(self.score[at] - max(self.score[0], self.score[at + 1]))


@ANALYSES.register("probes")
@needs_axes("action")
def probe_episodes(
    model: HookedModel,
    world: World,
    hook: str,
    target: Literal["return_to_go", "steps_left", "action"] = "return_to_go",
    episodes: int = 20,
    states: int = 600,
    seed: int = 0,
) -> Probes:
    """What a linear probe reads off `hook` in the policy's greedy episodes, beside raw input and a random network.

    `target` is what is read: the discounted return still to come, the number of steps until the end, or the action.
    It is played for so many `episodes`, and read in `states` of their states, spread evenly. Costs the episodes, two
    forward passes, and 5 fits for each source.
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
    """All states of some greedy episodes, whose episode each is of, and what a probe may be asked to read."""

    observation: Float[Tensor, "state *observation"]
    episode: Int[Tensor, " state"]
    action: Int[Tensor, " state"]
    steps_left: Float[Tensor, " state"]
    return_to_go: Float[Tensor, " state"]


@torch.no_grad()
def collect_states(model: HookedModel, world: World, seeds: Sequence[int]) -> EpisodeStates:
    """The states of the greedy episodes of these seeds, in order of time."""
    choose = lambda observation, rows: logits_of(model(observation)).argmax(dim=-1)  # noqa: E731
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
    """How well a linear probe reads `target` at each hook, with controls (Hewitt and Liang 2019; Alain, Bengio 2016).

    Ridge regression for a floating target, logistic regression for classes, on standardized features, with grouped
    cross-validation over `episode`; the strength of the ridge is chosen inside. `random` is the same architecture
    with fresh weights. Costs two forward passes, and a fit for each source and fold.
    """
    if len(episode.unique()) < folds:
        raise InputError(f"{len(episode.unique())} episodes cannot make {folds} folds. Observe more episodes.")
    if len(target.unique()) < 2:
        raise InputError("The target is the same in all states, so there is nothing to read. Choose another.")
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
    """Held-out score of each source in each fold."""
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
