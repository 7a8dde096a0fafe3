"""One episode of a trained policy to look at, as it is or with one of its parts changed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.policies.episodes import run_episodes
from workbench.analysis.policies.saliency import Saliency, compute_saliency
from workbench.analysis.policies.steering import make_change
from workbench.analysis.policies.traces import EpisodeTrace, trace_episode
from workbench.core.hooked import HookedModel
from workbench.core.metrics import LogitDifference, logits_of, runner_up
from workbench.data.environments import make_vector, native_name
from workbench.experiments.inputs.worlds import discount_of, environment_of
from workbench.experiments.run import loaded

STEPS = 500
"""An episode is shown up to this step."""
ELSEWHERE = {"workbench/Maze-v0": ("workbench/MazeAnywhere-v0",)}
"""Environments that a policy was not trained in, but fits."""


@dataclass(frozen=True)
class Played:
    """A greedy episode: its trace, how much each entry of each observation mattered, and one hook's activations.

    Saliency is of the greedy action's logit (or Q) minus the runner-up's. `edit` is the site that was changed, ""
    when the policy was left as it is; `amount` was added there, None: it was set to zero.
    """

    environment: str
    seed: int
    discount: float
    edit: str
    amount: float | None
    trace: EpisodeTrace
    saliency: Saliency
    hook: str
    axes: tuple[str, ...]
    activations: Float[Tensor, "step *activation"]


def environments_of(model: str) -> tuple[str, ...]:
    """The environments a policy can be watched in, that of its training first."""
    own = environment_of(model)
    return (own, *ELSEWHERE.get(own, ()))


def play(
    model: str, seed: int = 0, hook: str = "", environment: str = "", edit: str = "", amount: float | None = None
) -> Played:
    """The greedy episode of a seed, up to 500 steps, and what went on inside at `hook` (default: the input).

    With `edit`, a site such as "actor.blocks.0.hook_post[unit=3]", that part is set to zero, or `amount` added to it.
    """
    known = environments_of(model)
    name, network = environment or known[0], loaded(model)
    discount, hook = discount_of(model), hook or next(iter(network.trace()))
    handlers = network.compile_edits([make_change(edit, amount)] if edit else [])
    envs = make_vector(native_name(name), 1)
    with network.lock, network.attach(handlers):
        choose = lambda observation, _: logits_of(network(observation)).argmax(dim=-1)
        told = trace_episode(network, list(run_episodes(choose, envs, [seed], STEPS)), discount)
        mattered = compute_saliency(network, told.observation, margin(told.logits))
        inside = inner(network, told.observation, hook)
    envs.close()
    axes = network.hook_dict[hook].axes
    return Played(name, seed, discount, edit, amount, told, mattered, hook, axes, inside)


def margin(logits: Float[Tensor, "step action"]) -> LogitDifference:
    """The greedy action's logit minus the runner-up's."""
    best = logits.argmax(dim=1)
    return LogitDifference(best, runner_up(logits, best))


@torch.no_grad()
def inner(network: HookedModel, observation: Tensor, hook: str) -> Float[Tensor, "step *activation"]:
    """What the hook holds at each step."""
    return network.run_with_cache(observation, hook)[1][hook]
