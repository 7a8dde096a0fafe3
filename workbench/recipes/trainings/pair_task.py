"""Training and evaluation of encoder-decoders on pairs of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, ClassVar

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
"""Sources per batch of answers."""


@dataclass(frozen=True)
class PairTask:
    """Task of a data set of pairs; `token` and `sequence` name the units in the metrics' names."""

    kind: ClassVar[type] = PairData
    """Type of the data sets that it can read."""

    data: str
    batch_size: PositiveInt
    token: str
    sequence: str
    smoothing: ShareBelowOne = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def train(self, recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        """Train on next-token cross entropy; measure errors of greedy answers on the validation and the test split.

        Attention is unfused: on short sequences torch's fused kernel takes a third of a step.
        """
        data: PairData = DATASETS[self.data]()
        batch = length_batches(data.train, data.tokenizer.ids[PAD], self.batch_size, recipe.seed)
        loss = partial(next_token_loss, smoothing=self.smoothing)
        with sdpa_kernel(SDPBackend.MATH):
            curve = fit(
                model, batch, loss, recipe.training, partial(self.validate, data=data),
                session.state, session.progress, session.keep,
            )  # fmt: skip
        round_weights(model, recipe.dtype)
        metrics = self.measure_errors(model, data.test, data.tokenizer)
        return Trained(curve, metrics, DataSource(data.name, data.sha256, data.note), data.tokenizer)

    def validate(self, model: nn.Module, data: PairData) -> dict[str, Any]:
        """Measure loss and errors on the validation split."""
        errors = self.measure_errors(model, data.validation, data.tokenizer)
        named = {f"validation_{name}": metric for name, metric in errors.items()}
        return named | {"validation_loss": teacher_forced_loss(model, data.validation, data.tokenizer.ids[PAD])}

    def measure_errors(self, model: Any, pairs: Pairs, tokenizer: PairTokenizer) -> dict[str, Any]:
        """Measure the errors of greedy answers to every source; all rows of a source are its references."""
        rows = [(s, t) for s, t in zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)]
        asked = [(source, [t for _, t in group]) for source, group in groupby(sorted(rows), key=lambda row: row[0])]
        given = generate_answers(model, torch.tensor([source for source, _ in asked]), tokenizer, pairs.target.shape[1])
        end, right = tokenizer.ids[END], [[t[1:] for t in targets] for _, targets in asked]
        return error_rates(
            [cut_at_end(row, end) for row in given.tolist()],
            [[cut_at_end(row, end) for row in rows] for rows in right],
            self.token,
            self.sequence,
        )


def cut_at_end(row: list[int], end: int) -> list[int]:
    """Return a row up to its end token, which may be missing."""
    return row[: row.index(end)] if end in row else row


def generate_answers(
    model: Any, sources: Int[Tensor, "row source_pos"], tokenizer: PairTokenizer, longest: int
) -> Int[Tensor, "row pos"]:
    """Generate `longest` greedy tokens after the start token.

    Cost: One pass of the encoder, and `longest` positions of the decoder.
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
def teacher_forced_loss(model: nn.Module, pairs: Pairs, pad: int) -> float:
    """Compute the mean cross entropy per token (nats) with teacher forcing."""
    total, n = 0.0, 0
    for start in range(0, len(pairs), CHUNK):
        inputs, expected = shift_targets(trim(pairs[start : start + CHUNK], pad), pad)
        scored = int((expected >= 0).sum())
        total, n = total + next_token_loss(model(inputs), expected).item() * scored, n + scored
    return total / n


@torch.no_grad()
def round_weights(model: nn.Module, dtype: str) -> None:
    """Round the weights to the type in which they are stored, so that metrics are those of the file."""
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.to(DTYPES[dtype]))
