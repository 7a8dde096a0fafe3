"""Effect of removing each unit on the return of whole episodes."""

from __future__ import annotations

from typing import Any, Literal

from workbench.analysis.policies.episodes import USUAL, EpisodeConfig
from workbench.analysis.policies.interventions import InterventionReturns, intervene_in_rollouts, remove_each_unit
from workbench.core.fitting import needs_axes
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress, silent
from workbench.core.protocols import World
from workbench.core.registry import ANALYSES


@ANALYSES.register("unit_returns")
@needs_axes("action")
def measure_unit_returns(
    model: HookedModel,
    inputs: Any,
    world: World,
    hook: str,
    method: Literal["zero", "mean"] = "zero",
    play: EpisodeConfig = USUAL,
    seed: int = 0,
    progress: Progress = silent,
) -> InterventionReturns:
    """Remove each unit of a hook in turn and measure the return of greedy episodes.

    Args:
        model: A policy.
        inputs: Observations, for the mean of "mean".
        world: Environment of the policy.
        hook: Name of a hook with units.
        method: Value of a removed unit: "zero", or "mean" over the inputs.
        play: Number and length of the episodes.
        seed: Seed of the first episode; all conditions play the same episodes.
        progress: Called with the number of finished conditions and their total.

    Returns:
        An `InterventionReturns` with one condition per unit.

    Cost: 1 forward pass per step on the rows of all units and episodes, and 1 more for "mean".

    Example:
        >>> hook = "actor.blocks.1.hook_post"
        >>> found = workbench.run("unit_returns", model="cartpole_ppo", hook=hook, episodes=2, limit=20)
        >>> found.edited.shape, found.intact.tolist()
        (torch.Size([64, 2]), [20.0, 20.0])
    """
    with model.lock:
        reference = None if method == "zero" else model.cache(inputs, hook)
        conditions = remove_each_unit(model, [hook], reference)
        return intervene_in_rollouts(model, play.rows(world), conditions, play.seeds(seed), None, progress)
