"""What every unit is worth to the return: removed one by one, whole episodes played without it."""

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
    """The return of greedy episodes with each unit at `hook` removed, paired with that of the whole policy.

    `method` "zero" sets a unit to zero, "mean" to its mean over the inputs. All play the same
    episodes. Costs a forward pass per step on all units' and episodes' rows together.
    """
    with model.lock:
        reference = None if method == "zero" else model.cache(inputs, hook)
        conditions = remove_each_unit(model, [hook], reference)
        return intervene_in_rollouts(model, play.rows(world), conditions, play.seeds(seed), None, progress)
