"""Cache of a module's recordings, which records again for other inputs or a changed network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core.any_batch import BatchedTape, generalize
from workbench.core.constant_sources import expose_constants
from workbench.core.errors import InputError
from workbench.core.recorded_form import Form, form_of, state_of, tensors_of
from workbench.core.replay import replay
from workbench.core.tape import Ref, record
from workbench.core.torch_internals import tree_leaves


class Recordings:
    """The tapes of a module, by the form of the inputs.

    A tape holds for one form of inputs and for the weights, parts, hooks and attributes that the module had when it was
    recorded. All tapes do the same work, so that one set of names, nodes and ports serves them all.

    Args:
        module: The network.
        call: Runs the module on inputs.
        take: Returns the first rows of inputs, repeated as needed.
        example: Valid inputs.
    """

    def __init__(
        self, module: nn.Module, call: Callable[[Any], Any], take: Callable[[Any, int], Any], example: Any
    ) -> None:
        self.module, self.call, self.take = module, call, take
        before = state_of(module)
        self.first, self.constants = self._record(example)
        self.state = state_of(module)
        self.changing = {name for name in {*before, *self.state} if before.get(name) != self.state.get(name)}
        """Attributes that each run writes, such as the last output: they are no reason to record again."""
        self.shared = tensors_without_rows(self.first)
        self.by_form: dict[Form, BatchedTape] = {form_of(example, self.shared): self.first}
        self.verified: set[tuple[int, int]] = set()

    def find(self, inputs: Any) -> BatchedTape:
        """Return the tape for inputs; it is recorded if their form is new."""
        form = form_of(inputs, self.shared)
        if form not in self.by_form:
            self.by_form[form] = self._record_again(inputs)
        return self.by_form[form]

    def forget_if_changed(self) -> bool:
        """Drop all tapes if a weight, part, hook or attribute is another than when they were recorded."""
        now = state_of(self.module)
        changed = any(now.get(name) != self.state.get(name) for name in {*now, *self.state} - self.changing)
        if changed:
            self.by_form.clear()
            self.verified.clear()
            self.state = now
        return changed

    @torch.no_grad()
    def verify(self, inputs: Any, rows: int, batched: BatchedTape) -> None:
        """Raise unless a tape gives what the module gives, the first time that it runs on so many rows.

        Cost: 2 forward passes then, and none later.
        """
        if (id(batched), rows) in self.verified:
            return
        tape = batched.at(rows)
        values = replay(tape, tensors_of(inputs))
        mine = [values[leaf] for leaf in tree_leaves(tape.output) if isinstance(leaf, Ref)]
        if not all(nearly(one, other) for one, other in zip(mine, outputs_of(self.call(inputs)), strict=True)):
            raise InputError(
                f"{type(self.module).__name__} does other work for {rows} rows of these inputs than for its example. "
                "Record it again with such an example, or open it with hooks alone."
            )
        self.verified.add((id(batched), rows))

    def _record(self, inputs: Any) -> tuple[BatchedTape, tuple[Ref, ...]]:
        """Return the tape of inputs of this form, and the constants exposed on it."""
        try:
            one, other = (record(self.module, self.call, self.take(inputs, rows)) for rows in (2, 3))
        except RuntimeError:  # an `autograd.Function` of its own
            try:
                one, other = (record(self.module, self.call, self.take(inputs, rows), False) for rows in (2, 3))
            except RuntimeError as error:
                raise InputError(
                    f"{type(self.module).__name__} fails on two or three rows of its example "
                    f"({str(error).splitlines()[0]}). A tensor that all rows share must not be as long as the batch."
                ) from error
        return expose_constants(generalize(one, 2, other, 3))

    def _record_again(self, inputs: Any) -> BatchedTape:
        """Return the tape for inputs of another form, or of a network that was changed, if it does the same work."""
        found, _ = self._record(inputs)
        work = [[(op.function, op.reads, op.outputs) for op in b.pattern.operations] for b in (self.first, found)]
        if work[0] != work[1] or tensors_without_rows(found) != self.shared:
            place = next((a for a, b in zip(*work, strict=False) if a != b), work[0][-1])
            raise InputError(
                f"{type(self.module).__name__} does other work for these inputs than for its example, or was changed "
                f"since it was recorded, from {place[0]} on. Record it again with such an example."
            )
        found.spread.update(self.first.spread)
        return found


def tensors_without_rows(batched: BatchedTape) -> frozenset[int]:
    """Return the numbers of the tensors among the inputs that all rows share."""
    return frozenset(i for i, ref in enumerate(batched.pattern.inputs) if ref not in batched.batch_axis)


def nearly(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal up to rounding."""
    if one.shape != other.shape or not one.is_floating_point():
        return torch.equal(one, other)
    scale = float(other.double().nan_to_num().abs().max()) if other.numel() else 0.0
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5 * scale, equal_nan=True)


def outputs_of(output: Any) -> list[Tensor]:
    """Return the tensors of an output, in its own order."""
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
