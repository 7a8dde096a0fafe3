"""Activation maximization: synthetic inputs that maximize a unit, compared with the most activating natural ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

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
from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError, ShapeError
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress, silent
from workbench.core.ranges import Indices, PositiveInt
from workbench.core.registry import ANALYSES

Method = Callable[[Search, Progress], Found]
EXAMPLES = 4
"""Natural examples stored for each unit."""
AT_ONCE = 64
"""Units optimized in one batch."""


@dataclass(frozen=True)
class Maximization(Result):
    """Optimized input for each unit, and its most activating natural inputs in descending order.

    `start` and `reached` are the unit's activation at the start and on `inputs`, `trace` after each step. `examples`
    are the rows `rows` of the reference batch, with their `activations`. `success`: the activation is above the best
    natural one. `gain`: their ratio (NaN if the natural one is not positive). `top1`: no other unit has a larger
    z-score on the input, with mean and standard deviation over the reference batch. `low` and `high` bound the inputs.
    `texts` and `example_texts` are decoded tokens, if the model has a tokenizer. For an encoder-decoder a row is the
    source followed by the target.
    """

    view: ClassVar[View] = View(main="reached")

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
    units: Indices | None = None,
    objective: Objective = "channel",
    steps: PositiveInt = 128,
    seed: int = 0,
    progress: Progress = silent,
) -> Maximization:
    """Optimize an input for each unit of a hook.

    1. Take the reference batch's statistics and its most activating examples.
    2. Optimize an input per unit by gradient ascent: images over their phases, with spectrum, colours and range of the
       reference (MACO); features inside the box that the reference spans; tokens by swaps (GCG).
    3. Compare the result with the best natural example.

    A unit that is silent behind a ReLU is driven by its pre-activation first. The result for a unit does not depend on
    which other units are optimized.

    Args:
        model: Any model.
        inputs: Reference batch of natural inputs.
        hook: Hook or site, such as "blocks.1.hook_post" or "blocks.1.hook_post[height=3,width=3]".
        units: Indices on the axis of the units. By default the first 16.
        objective: "channel" is the mean over all positions; "neuron" the centre of a map or the last position of a
            text; "fluent" (only text) the mean plus the model's log probability of the text, where one nat per token
            counts as one standard deviation of the unit.
        steps: Number of optimization steps.
        seed: Seeds the starting points and transformations.
        progress: Called with the number of finished steps and their total.

    Returns:
        A `Maximization`.

    Raises:
        InputError: If the hook has no units, or `inputs` or `objective` do not suit the model.
        ShapeError: If `inputs` have another shape than the model's inputs.
        ConfigError: If `steps` is less than 1.

    Cost: `steps` forward and backward passes up to the hook per 64 units; more for tokens and features, which start
    from several points.

    References: Erhan et al. 2009; Fel et al. 2023 (MACO); Zou et al. 2023 (GCG); Thompson et al. 2024 (fluent text).

    Example:
        >>> found = workbench.run("maximization", model="digits_mlp", hook="blocks.0.hook_post", units=(0, 1), steps=8)
        >>> found.inputs.shape, found.success
        (torch.Size([2, 64]), tensor([True, True]))
    """
    model.require_independent_rows("Maximization")
    with model.lock:
        reference, rows = join_inputs(model, inputs)
        reference = check_reference(model, reference, isinstance(rows, JoinedPair))
        method, fluent = choose_method(reference, objective), objective == "fluent"
        if fluent and isinstance(rows, JoinedPair):
            raise InputError("Fluency is not defined for an encoder-decoder's source. Choose 'channel' or 'neuron'.")
        target = make_target(model, reference, hook, "channel" if fluent else objective, rows)
        with torch.no_grad():
            natural = target.values(reference)
        chosen = choose_units(target, hook, units, natural.shape[1])
        search = Search(target, reference, natural, chosen, steps, seed, fluent)
        return collect_result(search, search_in_batches(search, method, progress), objective)


@torch.no_grad()
def collect_result(search: Search, found: Found, objective: Objective) -> Maximization:
    """Assemble the result: optimized and natural inputs, and the quality measures."""
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
    """Run the search for all units in batches of `AT_ONCE`."""
    parts = [search.units[i : i + AT_ONCE] for i in range(0, len(search.units), AT_ONCE)]
    total = search.steps * len(parts)
    found = []
    for i, part in enumerate(parts):
        found.append(method(replace(search, units=part), lambda done, _, i=i: progress(i * search.steps + done, total)))
    return Found(*(torch.cat([getattr(f, name) for f in found]) for name in ("inputs", "start", "trace")))


def choose_method(reference: Shaped[Tensor, "batch *input"], objective: Objective) -> Method:
    """Return the search for these inputs: tokens, images or feature vectors."""
    if not reference.is_floating_point():
        return search_tokens
    if objective == "fluent":
        raise InputError("The objective 'fluent' needs a model of text. Choose 'channel' or 'neuron'.")
    return search_images if reference.ndim == 4 else search_vectors


def compute_bound(reference: Shaped[Tensor, "batch *input"], end: Callable[..., Tensor]) -> Shaped[Tensor, "..."]:
    """Return the minimum or maximum of a batch: per channel of images, per feature, or over all tokens."""
    if not reference.is_floating_point():
        return end(reference, dim=(0, 1))
    return end(reference, dim=(0, 2, 3), keepdim=True)[0] if reference.ndim == 4 else end(reference, dim=0)


def spell(target: Target, tokens: Shaped[Tensor, "row *input"]) -> tuple[str, ...]:
    """Decode rows of tokens; empty if the model has no tokenizer."""
    tokenizer = target.model.tokenizer
    if tokenizer is None or tokens.is_floating_point():
        return ()
    return tuple(target.rows.spell(tokenizer, row) for row in tokens)


def check_reference(model: HookedModel, inputs: Any, joined: bool) -> Shaped[Tensor, "batch *input"]:
    """Return the reference batch if its shape and dtype suit the model, else raise.

    `joined` rows consist of two sequences.
    """
    if not isinstance(inputs, Tensor) or inputs.ndim < 2 or not len(inputs):
        raise InputError(
            f"Activation maximization expects a batch of natural inputs as one tensor, got {describe(inputs)}. "
            "Pass a batch, such as 16 rows of the data."
        )
    example = model.example(1)
    expected = tuple(example.shape[1:]) if isinstance(example, Tensor) else None
    tokens = joined or model.input_axes == "batch pos"
    if (tokens and inputs.ndim != 2) or (not tokens and expected is not None and tuple(inputs.shape[1:]) != expected):
        size = ("batch", "pos") if tokens else ("batch", *(expected or ()))
        raise ShapeError(f"{type(model).__name__} expects inputs of shape {size}, got {tuple(inputs.shape)}.")
    if tokens and inputs.is_floating_point():
        raise InputError(f"{type(model).__name__} expects integer tokens, got {inputs.dtype}.")
    return inputs


def describe(inputs: Any) -> str:
    """Describe an invalid reference batch for an error message."""
    return f"shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else f"a {type(inputs).__name__}"
