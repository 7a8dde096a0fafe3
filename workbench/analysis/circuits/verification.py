"""Verification of a circuit: faithfulness, completeness, minimality, stability, and agreement with exact patching.

1. Trace the circuit and keep the strongest edges (Wang et al. 2023 for the criteria).
2. Faithful: run the circuit alone, beside random circuits of the same size.
3. Complete: run its complement, which should keep nothing.
4. Minimal: cut each of its edges too; each should lower the faithfulness.
5. Stable: trace it again on resampled examples and compare the edges (Jaccard index).
6. Scored well: compare the scores of sampled edges with exact patching.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge
from jaxtyping import Bool, Float
from scipy.stats import pearsonr, spearmanr
from torch import Tensor

from workbench.analysis.circuits.circuit import ScoredEdge
from workbench.analysis.circuits.exact import exact
from workbench.analysis.circuits.faithfulness import Behaviour, log_sizes
from workbench.analysis.circuits.resampling import draw_behaviour, draws, faithfulness_interval, pairwise_jaccard
from workbench.analysis.circuits.tracing import CircuitConfig, compute_scores, score_edges
from workbench.analysis.contrast import check_same_shape
from workbench.analysis.steps import Steps
from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Metric, name_of
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.ranges import NonNegativeInt, check_fields
from workbench.core.registry import ANALYSES
from workbench.core.wiring import Masks

USUAL = CircuitConfig()
ENOUGH, POINTS = 0.9, 60
"""If no size is given, use the smallest of `POINTS` sizes whose faithfulness is at least `ENOUGH`."""
Found = tuple[Masks, int, Tensor]
"""Scores of all edges, size of the circuit, and its edges after pruning."""


@dataclass(frozen=True)
class VerifyConfig:
    """Size of the circuit to verify, and thoroughness of the checks.

    Attributes:
        size: Number of edges before pruning. 0 is the smallest of about sixty sizes with a faithfulness of 0.9.
        controls: Number of random circuits with as many edges.
        cuts: Number of edges, the strongest of the circuit, that are cut from it in turn.
        resamples: Number of draws of the examples on which the circuit is traced again.
        sampled: Number of edges whose score is compared with exact patching; half are the strongest, half random.
    """

    size: NonNegativeInt = 0
    controls: Annotated[int, Ge(2)] = 20
    cuts: NonNegativeInt = 200
    resamples: Annotated[int, Ge(2)] = 5
    sampled: Annotated[int, Ge(3)] = 60

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Verification(Result):
    """Results of the checks of a circuit.

    `size` edges were kept, `live` of them on a path after pruning. Faithfulness is (m(kept) - m(cut)) / (m(clean) -
    m(cut)) of batch means: of the circuit, of its complement (all other edges kept; 0 if the circuit is complete, Wang
    et al. 2023), and of `random` circuits of equal size. Intervals are over the examples. `edges` has the edges of the
    circuit, strongest first. `necessity[i]` is the decrease of the faithfulness when edge i is cut from the circuit
    (near 0: it is not minimal), for the first `cuts` edges. `jaccard` compares the circuits of pairs of resamples.
    `estimated` and `exact` are the scores of the sampled edges by the method and by exact patching; `pearson`,
    `spearman` and `same_sign` measure their agreement (NaN if one of them does not vary).
    """

    view: ClassVar[View] = View(main="random")

    method: str
    ablation: str
    metric: str
    n: int
    seed: int
    size: int
    live: int
    n_edges: int
    faithfulness: float
    interval: tuple[float, float]
    complement: float
    complement_interval: tuple[float, float]
    random: Float[Tensor, " control"]
    edges: tuple[ScoredEdge, ...]
    necessity: Float[Tensor, " cut"]
    jaccard: Float[Tensor, " pair"]
    sampled: tuple[str, ...]
    estimated: Float[Tensor, " sampled"]
    exact: Float[Tensor, " sampled"]
    pearson: float
    spearman: float
    same_sign: float


@ANALYSES.register("verify")
@torch.no_grad()
def verify_circuit(
    model: HookedModel,
    inputs: Any,
    corrupted: Any,
    metric: Metric,
    how: CircuitConfig = USUAL,
    check: VerifyConfig = VerifyConfig(),
    seed: int = 0,
    progress: Progress = silent,
) -> Verification:
    """Trace a circuit and check that it is faithful, complete, minimal, stable, and scored like exact patching.

    Args:
        model: Any model with a computation graph.
        inputs: Clean inputs, batch first.
        corrupted: Inputs of the same shape that change the answer.
        metric: Returns one number per example from the model's output. Must be a dataclass, as all named metrics are.
        how: Scoring of edges, value of a cut edge, and granularity of the graph.
        check: Size of the circuit, and thoroughness of the checks.
        seed: Seeds the random circuits, the draws of the examples and the sampled edges.
        progress: Called with the number of finished checks and their total.

    Returns:
        A `Verification`.

    Raises:
        ShapeError: If `corrupted` differs from `inputs` in shape.
        InputError: If the size exceeds the number of edges, the circuit has no path to the output, or the examples
            share no effect of the corruption.

    Cost: the tracing once, and once for each resample; 1 forward pass for each edge that is cut and each control; and
    exact patching of the sampled edges.

    References: Wang et al. 2023.

    Example:
        >>> found = workbench.run(
        ...     "verify", model="greater_than_gpt", inputs="test:0:16", method="eap", size=20, controls=2, cuts=2,
        ...     resamples=2, sampled=4,
        ... )
        >>> found.faithfulness > found.random.mean()
        tensor(True)
    """
    check_same_shape(inputs, corrupted)
    with model.lock:
        behaviour = how.behaviour(model, inputs, corrupted, metric)
        graph = behaviour.graph
        steps = Steps(progress, check.controls + check.resamples + check.cuts + 1)
        scores = score_edges(behaviour, how, steps.pulse)
        strength = graph.wiring.as_vector(scores).abs()
        size = check.size or enough(behaviour, strength, steps)
        if size > graph.n_edges:
            raise InputError(
                f"A circuit of {size} edges is too large: this graph has {graph.n_edges}. Choose a smaller size."
            )
        circuit = prune(behaviour, how, graph.wiring.largest(strength, size))
        if not circuit.any():
            raise InputError(
                f"The {size} strongest edges form no path from the input to the output. Choose a larger size, or 0 for "
                "one that keeps 90 % of the behaviour."
            )
        steps.total -= check.cuts - min(check.cuts, int(circuit.sum()))
        return assemble(behaviour, how, check, seed, (scores, size, circuit), steps)


def assemble(
    behaviour: Behaviour, how: CircuitConfig, check: VerifyConfig, seed: int, found: Found, steps: Steps
) -> Verification:
    """Run all checks on a circuit."""
    scores, size, circuit = found
    wiring, n = behaviour.graph.wiring, len(behaviour.clean)
    strength = wiring.as_vector(scores)
    kept, complement = (metric_of_edges(behaviour, edges) for edges in (circuit, ~circuit))
    random = controls(behaviour, size, check.controls, seed, steps)
    order = [i for i in strength.abs().argsort(descending=True, stable=True).tolist() if circuit[i]]
    necessity = without_each(behaviour, circuit, order[: check.cuts], steps)
    again = [trace_again(behaviour, how, size, rows, steps) for rows in draws(n, check.resamples, seed)]
    places = sampled_edges(strength, check.sampled, seed)
    estimated, exact = strength[places], exact_effects(behaviour, places, steps)
    steps.finish()
    names, values = wiring.names(), strength.tolist()
    return Verification(
        method=how.method, ablation=how.ablation, metric=name_of(behaviour.metric),
        n=n, seed=seed, size=size, live=int(circuit.sum()), n_edges=wiring.n_edges,
        faithfulness=share(kept, behaviour), interval=interval(kept, behaviour, seed),
        complement=share(complement, behaviour),
        complement_interval=interval(complement, behaviour, seed),
        random=random,
        edges=tuple(ScoredEdge(names[i][0], names[i][1], values[i]) for i in order),
        necessity=necessity,
        jaccard=torch.tensor(pairwise_jaccard(again)),
        sampled=tuple(f"{names[i][0]} -> {names[i][1]}" for i in places),
        estimated=estimated,
        exact=exact,
        pearson=correlation(pearsonr, estimated, exact),
        spearman=correlation(spearmanr, estimated, exact),
        same_sign=float((estimated.sign() == exact.sign()).double().mean()),
    )  # fmt: skip


def enough(behaviour: Behaviour, strength: Float[Tensor, " edge"], steps: Steps) -> int:
    """Return the smallest size from the logarithmic scale with a faithfulness of at least `ENOUGH`."""
    wiring = behaviour.graph.wiring
    sizes = log_sizes(wiring.n_edges, POINTS).tolist()
    for size in sizes:
        steps.pulse()
        if behaviour.faithfulness(wiring.largest(strength, size)) >= ENOUGH:
            return size
    return sizes[-1]


def prune(behaviour: Behaviour, how: CircuitConfig, keep: Masks) -> Bool[Tensor, " edge"]:
    """Return the edges of a circuit that are on a path."""
    wiring = behaviour.graph.wiring
    return wiring.as_vector(wiring.prune(keep, counterfactual=how.ablation == "resample"))


def metric_of_edges(behaviour: Behaviour, keep: Bool[Tensor, " edge"]) -> Float[Tensor, " batch"]:
    """Measure the metric when only these edges are kept."""
    return behaviour.run(behaviour.graph.wiring.as_masks(keep))


def share(kept: Float[Tensor, " batch"], behaviour: Behaviour) -> float:
    """Compute the faithfulness from the metric of a circuit."""
    return float(behaviour.share(kept))


def interval(kept: Float[Tensor, " batch"], behaviour: Behaviour, seed: int) -> tuple[float, float]:
    """Compute the interval of the faithfulness over the examples."""
    low, high = faithfulness_interval(kept, behaviour, seed).tolist()
    return low, high


def controls(behaviour: Behaviour, size: int, n: int, seed: int, steps: Steps) -> Float[Tensor, " control"]:
    """Measure the faithfulness of random circuits with as many edges."""
    wiring, random = behaviour.graph.wiring, generator(seed, "control circuits")
    found = []
    for _ in range(n):
        keep = wiring.largest(torch.rand(wiring.n_edges, generator=random), size)
        found.append(behaviour.faithfulness(keep))
        steps.finish()
    return torch.tensor(found)


def without_each(
    behaviour: Behaviour, circuit: Bool[Tensor, " edge"], order: list[int], steps: Steps
) -> Float[Tensor, " cut"]:
    """Measure the decrease of the faithfulness when each edge in turn is cut from the circuit."""
    whole = share(metric_of_edges(behaviour, circuit), behaviour)
    losses = []
    for edge in order:
        fewer = circuit.clone()
        fewer[edge] = False
        losses.append(whole - share(metric_of_edges(behaviour, fewer), behaviour))
        steps.finish()
    return torch.tensor(losses)


def trace_again(
    behaviour: Behaviour, how: CircuitConfig, size: int, rows: Tensor, steps: Steps
) -> Bool[Tensor, " edge"]:
    """Trace the circuit of that size on a draw of the examples."""
    wiring = behaviour.graph.wiring
    scores = compute_scores(draw_behaviour(behaviour, rows), how, steps.pulse)
    steps.finish()
    return prune(behaviour, how, wiring.largest(wiring.as_vector(scores).abs(), size))


def sampled_edges(strength: Float[Tensor, " edge"], n: int, seed: int) -> list[int]:
    """Return the strongest edges for half of the sample, and random others for the rest."""
    order = strength.abs().argsort(descending=True, stable=True)
    top, rest = order[: n // 2], order[n // 2 :]
    picked = rest[torch.randperm(len(rest), generator=generator(seed, "sampled edges"))[: n - len(top)]]
    return torch.cat([top, picked]).tolist()


def exact_effects(behaviour: Behaviour, places: list[int], steps: Steps) -> Float[Tensor, " sampled"]:
    """Measure metric(edge cut) - metric(intact) of some edges, in their order."""
    graph = behaviour.graph
    chosen = torch.zeros(graph.n_edges)
    chosen[places] = 1
    question = (graph, behaviour.inputs, behaviour.other, behaviour.metric, graph.wiring.as_masks(chosen))
    effects = exact(*question, progress=steps.pulse)
    return graph.wiring.as_vector(effects)[places]


def correlation(statistic: Any, one: Tensor, other: Tensor) -> float:
    """Compute a correlation of scipy; NaN if one side does not vary."""
    if one.unique().numel() < 2 or other.unique().numel() < 2:
        return float("nan")
    return float(statistic(one.double().numpy(force=True), other.double().numpy(force=True)).statistic)
