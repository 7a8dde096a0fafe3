"""Check that a recorded network treats each row of a batch as it treats that row alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.core.any_batch import BatchedTape
from workbench.core.errors import InputError
from workbench.core.recorded_form import tensors_of
from workbench.core.replay import Values, replay
from workbench.core.tape import Ref
from workbench.core.torch_internals import tree_map

TOLERANCE = 1e-4
"""Largest difference by rounding, as a fraction of the largest entry of a value and of what it is computed from."""


def find_spread(batched: BatchedTape, inputs: Sequence[Tensor], together: Values) -> None:
    """Note the values in whose flattened axis all rows stand once, then again, as in time-first networks.

    Args:
        batched: The tape of the network, whose `spread` is filled.
        inputs: The tensors of some valid inputs.
        together: Every value for these inputs.
    """
    alone = replay(batched.at(1), _row_of(batched, inputs, 0))
    shared = [ref for ref, n in batched.per_row.items() if n > 1 and ref in together]
    for ref in (ref for ref in shared if not _equal(batched, together, alone, ref, 0)):
        batched.spread.add(ref)
        if not _equal(batched, together, alone, ref, 0):
            batched.spread.discard(ref)


def _row_of(batched: BatchedTape, inputs: Sequence[Tensor], row: int) -> list[Tensor]:
    axes, share = batched.batch_axis, batched.per_row
    pairs = zip(batched.pattern.inputs, inputs, strict=True)
    return [x.narrow(axes[r], row * share[r], share[r]) if r in axes else x for r, x in pairs]


def require_lone_rows(
    batched: BatchedTape, inputs: Sequence[Tensor], refs: Iterable[Ref], network: str, name: Callable[[Ref], str]
) -> None:
    """Raise unless each of some values has, in the place of each row, what this row gives alone.

    Runs of several conditions are stacked between two stages, and a site shows one row per example. Both are right only
    if no value mixes rows or sorts them.

    Args:
        batched: The tape of the network.
        inputs: The tensors of some valid inputs.
        refs: The values that are shown at a site or kept between two stages.
        network: Name of the network for the message.
        name: Returns the name of a value for the message.

    Raises:
        InputError: If a value of a row alone differs; the first such value is named.

    Cost: one replay of the tape, and one of a single row for each row.
    """
    axes, share = batched.batch_axis, batched.per_row
    refs = sorted({ref for ref in refs if ref in axes})
    first, x = next((ref, x) for ref, x in zip(batched.pattern.inputs, inputs, strict=True) if ref in axes)
    rows = x.shape[axes[first]] // share[first]
    together = replay(batched.at(rows), inputs)
    for row in range(rows):
        alone = replay(batched.at(1), _row_of(batched, inputs, row))
        for ref in refs:
            if together[ref].is_floating_point() and not _equal(batched, together, alone, ref, row):
                raise InputError(
                    f"The rows of a batch interact in {network}, or are not kept in order: {name(ref)!r} of "
                    "a row alone differs. Open it with hooks alone."
                )


def _equal(batched: BatchedTape, together: Values, alone: Values, ref: Ref, row: int) -> bool:
    one, other = batched.rows_first(ref, alone[ref])[0], batched.rows_first(ref, together[ref])[row]
    maker = batched.pattern.maker.get(ref)
    reads = () if maker is None else batched.pattern.operations[maker].reads
    scale = max((_largest(together[r]) for r in (ref, *reads)), default=0.0)
    return torch.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True)


def _largest(x: Tensor) -> float:
    known = x.is_floating_point() and x.numel() > 0
    return float(x.abs().nan_to_num(posinf=0.0).max()) if known else 0.0


def reverse_rows(batched: BatchedTape, inputs: Any) -> Any:
    """Return inputs with their rows in the reverse order; tensors that all rows share stay."""
    given = zip(tensors_of(inputs), batched.pattern.inputs, strict=True)
    axes = {id(x): batched.batch_axis.get(ref) for x, ref in given}

    def reverse(x: Any) -> Any:
        return x if (axis := axes.get(id(x))) is None else x.flip(axis)

    return tree_map(reverse, inputs)
