"""How an encoder-decoder learns pairs of sequences, and how right its answers are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from workbench.checkpoints.card import DataSource
from workbench.checkpoints.store import DTYPES
from workbench.core.hooked import HookedModel
from workbench.core.ranges import PositiveInt, ShareBelowOne, check_fields
from workbench.core.registry import DATASETS
from workbench.core.source_target import SourceTarget
from workbench.data.pairs.pair_data import PairData, Pairs, length_batches, shift_targets, trim
from workbench.data.pairs.pair_tokenizer import END, PAD, START, PairTokenizer
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.training.fit import fit
from workbench.training.language_modelling import next_token_loss
from workbench.training.sequence_errors import error_rates
from workbench.zoo.layers.sampling import SamplingConfig

CHUNK = 500
"""Sources answered in one go."""


@dataclass(frozen=True)
class PairTask:
    """Which pairs, rows in a batch, what a token and a whole answer are called in the metrics' names."""

    data: str
    batch_size: PositiveInt
    token: str
    sequence: str
    smoothing: ShareBelowOne = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def train(self, recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        """Each next token's cross entropy; the error of greedy answers to the validation split, at the end the test's.

        Attention is written out: on short sequences torch's fused kernel takes a third of a step.
        """
        data: PairData = DATASETS[self.data]()
        batch = length_batches(data.train, data.tokenizer.ids[PAD], self.batch_size, recipe.seed)
        loss = partial(next_token_loss, smoothing=self.smoothing)
        with sdpa_kernel(SDPBackend.MATH):
            curve = fit(
                model, batch, loss, recipe.training, partial(self.validation, data=data),
                session.state, session.progress, session.keep,
            )  # fmt: skip
        round_weights(model, recipe.dtype)
        metrics = self.errors(model, data.test, data.tokenizer)
        return Trained(curve, metrics, DataSource(data.name, data.sha256, data.note), data.tokenizer)

    def validation(self, model: nn.Module, data: PairData) -> dict[str, Any]:
        """The loss and the errors on the validation split."""
        errors = self.errors(model, data.validation, data.tokenizer)
        named = {f"validation_{name}": metric for name, metric in errors.items()}
        return named | {"validation_loss": taught_loss(model, data.validation, data.tokenizer.ids[PAD])}

    def errors(self, model: Any, pairs: Pairs, tokenizer: PairTokenizer) -> dict[str, Any]:
        """The errors of greedy answers to every source; rows of one source are its right answers."""
        rows = [(s, t) for s, t in zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)]
        asked = [(source, [t for _, t in group]) for source, group in groupby(sorted(rows), key=lambda row: row[0])]
        given = answers(model, torch.tensor([source for source, _ in asked]), tokenizer, pairs.target.shape[1])
        end, right = tokenizer.ids[END], [[t[1:] for t in targets] for _, targets in asked]
        return error_rates(
            [up_to(row, end) for row in given.tolist()],
            [[up_to(row, end) for row in rows] for rows in right],
            self.token,
            self.sequence,
        )


def up_to(row: list[int], end: int) -> list[int]:
    """A row as far as its end, which it may lack."""
    return row[: row.index(end)] if end in row else row


def answers(
    model: Any, sources: Int[Tensor, "row source_pos"], tokenizer: PairTokenizer, longest: int
) -> Int[Tensor, "row pos"]:
    """The likeliest next token, again and again, `longest` times: what follows the start.

    Costs one pass of the encoder, and `longest` positions of the decoder.
    """
    training = model.training
    model.eval()
    given = []
    for part in sources.split(CHUNK):
        target = torch.full((len(part), 1), tokenizer.ids[START])
        given.append(model.generate(SourceTarget(part, target), longest - 1, SamplingConfig(temperature=0.0))[:, 1:])
    model.train(training)
    return torch.cat(given)


@torch.no_grad()
def taught_loss(model: nn.Module, pairs: Pairs, pad: int) -> float:
    """Mean cross entropy per token (nats) when every earlier token of the target is given."""
    total, n = 0.0, 0
    for start in range(0, len(pairs), CHUNK):
        inputs, wanted = shift_targets(trim(pairs[start : start + CHUNK], pad), pad)
        scored = int((wanted >= 0).sum())
        total, n = total + next_token_loss(model(inputs), wanted).item() * scored, n + scored
    return total / n


@torch.no_grad()
def round_weights(model: nn.Module, dtype: str) -> None:
    """Leaves in the model what a file of that type will hold, so that the card's figures are those of the file."""
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.to(DTYPES[dtype]))
