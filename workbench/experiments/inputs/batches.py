"""Batches of inputs and the requests for them, common to all modalities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.inputs import explain_input_errors
from workbench.core.metrics import logits_of
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.torch_internals import tree_leaves
from workbench.experiments.inputs.language import Inputs

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs of a model with their labels and, if known, their targets.

    Attributes:
        inputs: A tensor, or a `SourceTarget` for an encoder-decoder.
        targets: Index of the right answer to each example.
        labels: One text per example.
        note: Origin of the examples.
        tokens: Tokens of each example if it is text; of pairs, the known part of the answer.
        sources: Tokens of the source of each pair.
        right: Marks the right choices of a task that has more than one.
        foils: Index of the wrong answer to compare the right one with, where it is fixed.
    """

    inputs: Any
    targets: Int[Tensor, " batch"] | None
    labels: tuple[str, ...]
    note: str
    tokens: tuple[tuple[str, ...], ...] = ()
    sources: tuple[tuple[str, ...], ...] = ()
    right: Bool[Tensor, "batch choice"] | None = None
    foils: Int[Tensor, " batch"] | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of the inputs, or of both sequences of pairs."""
        return tuple(tuple(leaf.shape) for leaf in tree_leaves(self.inputs))


@dataclass(frozen=True, eq=False)
class Request:
    """Parsed inputs, the model that they are for, and the clean batch that they corrupt, if any.

    `progress` is called while they are read, and may stop it.
    """

    inputs: Inputs
    model: Any = None
    clean: Batch | None = None
    progress: Progress = silent

    @property
    def source(self) -> str:
        """Name of the source."""
        return self.inputs.source

    @property
    def selection(self) -> Any:
        """Selection of the source's examples."""
        return self.inputs.selection

    def each(self, items: Sequence[T]) -> Iterator[T]:
        """Yield the items, reporting progress before each."""
        for done, item in enumerate(items):
            self.progress(done, len(items))
            yield item

    def ask(self, inputs: Any) -> Any:
        """Run the model, waiting for other threads that use it."""
        held = self.model.lock.wait_and_hold(lambda: self.progress(0, 0))
        with held, explain_input_errors(self.model, inputs):
            return self.model(inputs)

    def clean_for(self, what: str) -> Batch:
        """Return the clean batch; raise an `InputError` if there is none to find `what` for."""
        if self.clean is None:
            raise InputError(f"{self.inputs} gives {what}, for clean inputs: it cannot stand alone.")
        return self.clean


@torch.no_grad()
def other_answers(
    request: Request, candidates: Any, closeness: Float[Tensor, "#batch candidate"] | None = None
) -> Int[Tensor, " batch"]:
    """Choose, for each clean input, a candidate to which the model gives another answer.

    The closest candidate is taken, and the request's seed decides among equally close ones.

    Args:
        request: Holds the clean inputs, the model and the seed.
        candidates: Inputs of the same shape, any number of them.
        closeness: Preference for each candidate; all are equal if left out.

    Returns:
        Rows of the candidates.

    Raises:
        InputError: If the model gives all candidates the answer that it gives a clean input.
    """
    clean = request.clean_for("examples of another answer")
    random = generator(request.selection.seed, "other answers")
    own, answers = (logits_of(request.ask(x)).argmax(dim=-1) for x in (clean.inputs, candidates))
    order = torch.randperm(len(answers), generator=random)
    close = torch.zeros(1, len(answers)) if closeness is None else closeness
    rows = []
    for place, (answer, near) in enumerate(zip(own, close.expand(len(own), -1), strict=True)):
        fits = order[answers[order] != answer]
        if not len(fits):
            raise InputError(
                f"The model gives the answer {int(answer)} to all {len(answers)} inputs that were tried, as it does to "
                f"example {place}, so none of them corrupts it. Give corrupted inputs of your own."
            )
        fits = fits[near[fits] == near[fits].max()]
        rows.append(int(fits[place % len(fits)]))
    return torch.tensor(rows)
