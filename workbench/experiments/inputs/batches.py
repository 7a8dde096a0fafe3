"""Batches of inputs: what every kind of them has in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils._pytree import tree_leaves

from workbench.core.errors import InputError, short
from workbench.core.metrics import logits_of
from workbench.core.progress import Progress, silent
from workbench.core.random import generator
from workbench.core.reading import DIGITS, whole
from workbench.experiments.questions.budget import require

ALSO = "||"
"""Separates several prompts, or several files."""
ROWS = re.compile(
    rf"(class=(?P<name>[^:]+):|known=(?P<known>{DIGITS}):)?(?P<start>{DIGITS})?(?P<range>:(?P<stop>{DIGITS})?)?"
)
NUMBERS = {"other": (1,), "rollout": (2, 3), "sample": (2,), "walk": (2,), "explored": (2,)}
"""How many whole numbers follow a source, the seed first."""
WALK = 9
"""Values that `walk` gives a latent."""
SEEDS = 2**32
"""Seeds lie below this, as those of NumPy do."""
FORMS = {
    "test": "test:0:16, test:class=3:0:16 or (of pairs, with three tokens of each answer given) test:known=3:0:16",
    "train": "train:0:16",
    "other": "other:SEED (as corrupted inputs: for each example one of the same kind that has another answer)",
    "file": "file:PATH",
    "fitted": "fitted:PATH (a picture of any size, cropped and resized)",
    "prompts": "prompts:0:16 (ready-made prompts of one length)",
    "text": "text:PROMPT, text:PROMPT||PROMPT or (pairs) text:SOURCE=>BEGINNING OF THE ANSWER",
    "rollout": "rollout:SEED:N or rollout:SEED:FIRST:LAST",
    "sample": "sample:SEED:N (codes drawn from the prior)",
    "walk": "walk:SEED:LATENT (one code, that latent moved from -3 to 3)",
    "explored": "explored:SEED:N (states that random actions lead to)",
}
"""How inputs are written, by source."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs for a model (a tensor, of an encoder-decoder a `SourceTarget`), what is right about them, their names.

    `labels` has one text per example, `tokens` its tokens when it is text; `note` says where they come from. Of pairs
    `tokens` is the answer as far as it is known, `sources` what it is the answer to. `right` marks the right choices of
    a task that has more than one, `foils` has the wrong choice to compare the right one with where it is fixed.
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
    """Which inputs are asked for: `source:rest`, of a model loaded with its card, to corrupt `clean` if given.

    `progress` is called while they are read, and may stop it.
    """

    source: str
    rest: str
    model: Any = None
    clean: Batch | None = None
    progress: Progress = silent

    def ask(self, inputs: Any) -> Any:
        """The model's output, for which another thread's work on the model is waited for."""
        with self.model.lock.wait_and_hold(lambda: self.progress(0, 0)):
            return self.model(inputs)

    def seed_of_others(self, what: str) -> int:
        """The seed of `other:SEED`; raises without clean inputs to compare with."""
        if self.clean is None:
            raise InputError(f"other:{self.rest} gives {what}, for clean inputs: it cannot stand alone.")
        return numbers(self)[0]


@torch.no_grad()
def other_answers(
    request: Request, candidates: Any, closeness: Float[Tensor, "#batch candidate"] | None = None
) -> Int[Tensor, " batch"]:
    """Choose, for each clean input, a candidate to which the model gives another answer than to that.

    Of several the closest is taken, and among equally close ones the request's seed decides.

    Args:
        request: Holds the clean inputs, the model and the seed.
        candidates: Inputs of the same shape, as many as there are to choose from.
        closeness: Larger for candidates to be preferred; all are equal without it.

    Returns:
        Rows of the candidates.

    Raises:
        InputError: The model gives all candidates the answer that it gives a clean input.
    """
    assert request.clean is not None, "seed_of_others has checked it"
    random = generator(*numbers(request), "other answers")
    own, answers = (logits_of(request.ask(x)).argmax(dim=-1) for x in (request.clean.inputs, candidates))
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


def check_form(request: Request) -> None:
    """Raise unless what follows the source has its form and asks for no more than the budget; nothing is read."""
    what = f"inputs {short(f'{request.source}:{request.rest}')}"
    if (rows := rows_asked(request)) is not None:
        require("rows", rows, what)
    if request.source == "text":
        require("characters", len(request.rest), what)
    if request.source in ("file", "fitted"):
        require("bytes", sum(bytes_at(path) for path in request.rest.split(ALSO)), what)


def rows_asked(request: Request) -> int | None:
    """The number of examples that a text for inputs asks for; None if only the data can tell."""
    if request.source in ("test", "train", "prompts"):
        match = row_match(request)
        if not match["range"]:
            return 1
        return int(match["stop"]) - int(match["start"] or 0) if match["stop"] else None
    if request.source in NUMBERS:
        _, *which = numbers(request)
        if request.source == "walk":
            return WALK
        return which[-1] - sum(which[:-1]) if which else None
    return request.rest.count(ALSO) + 1


def bytes_at(path: str) -> int:
    """The size of a file; 0 where there is none, which is reported when it is read."""
    try:
        return Path(path).expanduser().stat().st_size
    except (OSError, ValueError, RuntimeError):
        return 0


def row_match(request: Request) -> re.Match[str]:
    """The parts of `3`, `3:6`, `3:`, `class=dog:3:6` or (of pairs) `known=2:3:6`."""
    match = ROWS.fullmatch(request.rest)
    if match is None or not (match["start"] or match["range"]):
        raise InputError(f"{short(request.rest)} is no range of rows. Write {FORMS[request.source]}.")
    return match


def numbers(request: Request) -> list[int]:
    """The whole numbers of `SEED`, `SEED:N` or `SEED:FIRST:LAST`."""
    parts = [whole(part) for part in request.rest.split(":")]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts) or len(parts) not in NUMBERS[request.source]:
        raise InputError(f"{short(f'{request.source}:{request.rest}')} cannot be read. Write {FORMS[request.source]}.")
    if found[0] >= SEEDS:
        raise InputError(f"The seed {found[0]} of {request.source!r} is too large. Seeds go from 0 to {SEEDS - 1}.")
    return found


def cut(match: re.Match[str], n: int, where: str) -> slice:
    """The range of rows that was asked for, all of them there."""
    start = int(match["start"] or 0)
    stop = int(match["stop"] or n) if match["range"] else start + 1
    if not start < stop <= n:
        raise InputError(f"Rows {start}:{stop} do not exist: {where} has {n}. Choose a range inside 0:{n}.")
    require("rows", stop - start, f"rows {start}:{stop} of {where}")
    return slice(start, stop)
