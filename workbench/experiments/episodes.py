"""Greedy episodes of a trained policy, unchanged or with an intervention."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.analysis.policies.episodes import run_episodes
from workbench.analysis.policies.saliency import Saliency, compute_saliency
from workbench.analysis.policies.steering import make_change
from workbench.analysis.policies.traces import EpisodeTrace, trace_episode
from workbench.analysis.steps import Steps
from workbench.core.arguments import check_arguments
from workbench.core.hooked import HookedModel
from workbench.core.metrics import LogitDifference, logits_of, runner_up
from workbench.core.progress import Progress, silent
from workbench.core.ranges import Seed
from workbench.data.environments import make_vector, native_name
from workbench.experiments.inputs.worlds import discount_of, environment_of
from workbench.experiments.run import loaded

STEPS = 500
"""Largest number of steps of an episode that is shown."""
ELSEWHERE = {"workbench/Maze-v0": ("workbench/MazeAnywhere-v0",)}
"""Environments, besides that of its training, whose observations fit a policy."""


@dataclass(frozen=True)
class Played:
    """A greedy episode: its trace, the saliency of each observation, and the activations of one hook.

    Saliency is of the greedy action's logit (or Q) minus the runner-up's. `edit` is the changed site ("" if
    there is none), to which `amount` was added, or which was set to zero if that is None.
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
    """List the environments that a policy can be run in, that of its training first."""
    own = environment_of(model)
    return (own, *ELSEWHERE.get(own, ()))


@check_arguments
def play(
    model: str,
    seed: Seed = 0,
    hook: str = "",
    environment: str = "",
    edit: str = "",
    amount: float | None = None,
    progress: Progress = silent,
) -> Played:
    """Run the greedy episode of a seed, up to 500 steps, and record the activations at `hook` (default: the input).

    With `edit`, a site such as "actor.blocks.0.hook_post[unit=3]", that part is set to zero, or `amount` added to it.
    `progress` is called at each step and for each entry of the observation, and may cancel the work.
    """
    known = environments_of(model)
    name, network = environment or known[0], loaded(model)
    discount, hook = discount_of(model), hook or next(iter(network.trace()))
    handlers = network.compile_edits([make_change(edit, amount)] if edit else [])
    steps = Steps(progress, STEPS + network.example(1)[0].numel())
    with (
        closing(make_vector(native_name(name), 1)) as envs,
        network.lock.wait_and_hold(steps.pulse),
        network.attach(handlers),
    ):
        choose = steps.count(lambda observation, _: logits_of(network(observation)).argmax(dim=-1))
        trace = trace_episode(network, list(run_episodes(choose, envs, [seed], STEPS)), discount)
        steps.done = STEPS
        mattered = compute_saliency(network, trace.observation, steps.count(margin(trace.logits)))
        inside = activations_at(network, trace.observation, hook)
    axes = network.hook_dict[hook].axes
    return Played(name, seed, discount, edit, amount, trace, mattered, hook, axes, inside)


def margin(logits: Float[Tensor, "step action"]) -> LogitDifference:
    """Return the greedy action's logit minus the runner-up's."""
    best = logits.argmax(dim=1)
    return LogitDifference(best, runner_up(logits, best))


@torch.no_grad()
def activations_at(network: HookedModel, observation: Tensor, hook: str) -> Float[Tensor, "step *activation"]:
    """Return the activation at a hook for each step."""
    return network.run_with_cache(observation, hook)[1][hook]
