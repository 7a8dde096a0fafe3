"""Activation maximization: for each unit the input it likes best, beside the natural ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from workbench.analysis.features import quality
from workbench.analysis.features.image_search import search_images
from workbench.analysis.features.search import Found, Search
from workbench.analysis.features.target import Objective, Target, choose_units, make_target
from workbench.analysis.features.token_rows import JoinedPair, join_inputs
from workbench.analysis.features.token_search import search_tokens
from workbench.analysis.features.vector_search import search_vectors
from workbench.core.errors import ConfigError, InputError, ShapeError
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress, silent
from workbench.core.registry import ANALYSES

Method = Callable[[Search, Progress], Found]
EXAMPLES = 4
"""Natural examples kept for each unit."""
AT_ONCE = 64
"""Units searched as one batch."""


@dataclass(frozen=True)
class Maximization:
    """For each unit the input found, and the natural inputs it likes best, strongest first.

    `start` and `reached` are the unit's activation where the search began and on `inputs`; `trace` is what it was
    after each step. `examples` are rows `rows` of the reference batch, with their `activations`. `success`: reached is
    above the best natural one; `gain`: how many times it (NaN where that is not positive); `top1`: the unit is the one
    that stands out most on its input, in standard deviations over the reference batch. `low` and `high` bound the
    inputs. `texts` and `example_texts` are what tokens spell, when the model has a tokenizer. Of an encoder-decoder a
    row holds the source and, after it, the answer so far.
    """

    hook: str
    axis: str
    objective: str
    units: tuple[int, ...]
    inputs: Shaped[Tensor, "unit *input"]
    start: Float[Tensor, " unit"]
    reached: Float[Tensor, " unit"]
    trace: Float[Tensor, "unit step"]
    examples: Shaped[Tensor, "unit rank *input"]
    rows: Int[Tensor, "unit rank"]
    activations: Float[Tensor, "unit rank"]
    success: Bool[Tensor, " unit"]
    gain: Float[Tensor, " unit"]
    top1: Bool[Tensor, " unit"]
    low: Shaped[Tensor, "..."]
    high: Shaped[Tensor, "..."]
    texts: tuple[str, ...] = ()
    example_texts: tuple[tuple[str, ...], ...] = ()


@ANALYSES.register("maximization")
def maximize(
    model: HookedModel,
    inputs: Any,
    hook: str,
    units: tuple[int, ...] | None = None,
    objective: Objective = "channel",
    steps: int = 128,
    seed: int = 0,
    progress: Progress = silent,
) -> Maximization:
    """The input that each unit at `hook` likes best, beside the best of the inputs given (Erhan et al. 2009).

    `hook` may be a site such as "blocks.1.hook_post[height=3,width=3]". `units` are numbers on the axis of the units:
    by default the first 16. `objective` "channel" is the mean over all places, "neuron" the centre of a map or the
    last position of a text, "fluent" (text alone) the mean plus the model's log probability of the text (Thompson et
    al. 2024), one nat per token being worth one standard deviation of the unit.

    Images are searched by phase alone, with spectrum, colours and range of the inputs (MACO, Fel et al. 2023); other
    features inside the box that the inputs span; tokens by swaps (GCG, Zou et al. 2023). A unit silenced
    by a ReLU first climbs what stands before the ReLU. What is found for a unit does not depend on the others. Costs
    a forward and backward pass up to the hook, for all units, for each of the `steps`.
    """
    with model.lock:
        reference, rows = join_inputs(model, inputs)
        reference = check_reference(model, reference, isinstance(rows, JoinedPair))
        if steps < 1:
            raise ConfigError(f"steps is {steps}; a search needs at least 1. The usual number is 128.")
        method, fluent = choose_method(reference, objective), objective == "fluent"
        if fluent and isinstance(rows, JoinedPair):
            raise InputError("A source is no text that this model writes. Choose 'channel' or 'neuron'.")
        target = make_target(model, reference, hook, "channel" if fluent else objective, rows)
        with torch.no_grad():
            natural = target.values(reference)
        chosen = choose_units(target, hook, units, natural.shape[1])
        search = Search(target, reference, natural, chosen, steps, seed, fluent)
        return collect_result(search, search_in_batches(search, method, progress), objective)


@torch.no_grad()
def collect_result(search: Search, found: Found, objective: Objective) -> Maximization:
    """What was found, beside what is natural, and how good it is."""
    target, reference, columns = search.target, search.reference, search.columns
    rows = search.examples(EXAMPLES)
    activations = search.natural[:, columns].T.gather(1, rows)
    after = target.values(found.inputs)
    reached = after.gather(1, columns[:, None])[:, 0]
    return Maximization(
        hook=str(target.site),
        axis=target.axis,
        objective=objective,
        units=search.units,
        inputs=found.inputs,
        start=found.start,
        reached=reached,
        trace=found.trace,
        examples=reference[rows],
        rows=rows,
        activations=activations,
        success=quality.success(reached, activations[:, 0]),
        gain=quality.gain(reached, activations[:, 0]),
        top1=quality.top_unit(after, columns, search.natural),
        low=compute_bound(reference, torch.amin),
        high=compute_bound(reference, torch.amax),
        texts=spell(target, found.inputs),
        example_texts=tuple(filter(None, (spell(target, examples) for examples in reference[rows]))),
    )


def search_in_batches(search: Search, method: Method, progress: Progress) -> Found:
    """What is found for all units, so many at once."""
    parts = [search.units[i : i + AT_ONCE] for i in range(0, len(search.units), AT_ONCE)]
    total = search.steps * len(parts)
    found = []
    for i, part in enumerate(parts):
        found.append(method(replace(search, units=part), lambda done, _, i=i: progress(i * search.steps + done, total)))
    return Found(*(torch.cat([getattr(f, name) for f in found]) for name in ("inputs", "start", "trace")))


def choose_method(reference: Shaped[Tensor, "batch *input"], objective: Objective) -> Method:
    """The search that fits these inputs."""
    if not reference.is_floating_point():
        return search_tokens
    if objective == "fluent":
        raise InputError("Only text can be fluent, and this model reads numbers. Choose 'channel' or 'neuron'.")
    return search_images if reference.ndim == 4 else search_vectors


def compute_bound(reference: Shaped[Tensor, "batch *input"], end: Callable[..., Tensor]) -> Shaped[Tensor, "..."]:
    """The lowest or highest values of a batch: of each channel of images, of each feature, of all tokens."""
    if not reference.is_floating_point():
        return end(reference, dim=(0, 1))
    return end(reference, dim=(0, 2, 3), keepdim=True)[0] if reference.ndim == 4 else end(reference, dim=0)


def spell(target: Target, tokens: Shaped[Tensor, "row *input"]) -> tuple[str, ...]:
    """What each row of tokens spells, when the model has a tokenizer."""
    tokenizer = target.model.tokenizer
    if tokenizer is None or tokens.is_floating_point():
        return ()
    return tuple(target.rows.spelled(tokenizer, row) for row in tokens)


def check_reference(model: HookedModel, inputs: Any, joined: bool) -> Shaped[Tensor, "batch *input"]:
    """The reference batch, when its rows are such as the model reads; `joined` ones were made of two sequences."""
    if not isinstance(inputs, Tensor) or inputs.ndim < 2 or not len(inputs):
        raise InputError(
            f"Activation maximization expects a batch of natural inputs as one tensor, got {describe(inputs)}. "
            "Pass a batch, such as 16 rows of the data."
        )
    example = model.example(1)
    wanted = tuple(example.shape[1:]) if isinstance(example, Tensor) else None
    tokens = joined or model.input_axes == "batch pos"
    if (tokens and inputs.ndim != 2) or (not tokens and wanted is not None and tuple(inputs.shape[1:]) != wanted):
        size = ("batch", "pos") if tokens else ("batch", *(wanted or ()))
        raise ShapeError(f"{type(model).__name__} reads inputs of shape {size}; given {tuple(inputs.shape)}.")
    if tokens and inputs.is_floating_point():
        raise InputError(f"{type(model).__name__} reads tokens, which are whole numbers; given {inputs.dtype}.")
    return inputs


def describe(inputs: Any) -> str:
    """What was given instead of a batch."""
    return f"shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else f"a {type(inputs).__name__}"
