"""Result of probing a wrapped network: measured facts that restrict sweeps and interventions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.core.errors import InputError


@dataclass(frozen=True)
class Probe:
    """Facts about a network, measured by running it on its example in several ways.

    `per_row` is True for each tensor of the inputs whose first axis is the batch. `batch_axis` is the index of the
    batch among the axes of each hook (None: the activation has no part per example). The other facts:

    - `fixed_batch`: it runs only with the example's number of rows.
    - `depends_on_batch`: a row's activations depend on the number of rows, or on its position among them.
    - `rows_interact`: a row's activations depend on the other rows (None: not known).
    - `random`: it draws random numbers; every run gets the same seed.
    - `stateful`: its output for the same input and seed differs from run to run.
    - `writes_inputs`: it overwrites its inputs; every run gets a copy.
    - `in_place`: hooks whose activation is overwritten later; caches copy these.
    - `whole_output`: reason why its output cannot be split into rows.
    - `low_precision`: it computes in 16 bits, where rounding differs with the number of rows.
    - `varying`: hooks whose shape depends on the values of the inputs.
    - `unopened`: submodules whose output holds no tensor that could be a site.
    """

    rows: int
    per_row: tuple[bool, ...]
    batch_axis: Mapping[str, int | None] = field(default_factory=dict)
    fixed_batch: bool = False
    depends_on_batch: bool = False
    rows_interact: bool | None = False
    random: bool = False
    stateful: bool = False
    writes_inputs: bool = False
    in_place: tuple[str, ...] = ()
    whole_output: str = ""
    low_precision: bool = False
    varying: tuple[str, ...] = ()
    unopened: tuple[str, ...] = ()

    @property
    def independent_rows(self) -> bool:
        """True if each row's result does not depend on other rows."""
        known = self.rows_interact is False and not self.fixed_batch
        return known and not (self.depends_on_batch or self.random or self.stateful)

    @property
    def batches_conditions(self) -> bool:
        """True if several conditions can share a run as blocks of the batch."""
        return self.independent_rows and not self.whole_output and not self.low_precision

    @property
    def untested(self) -> bool:
        """True if it is not known whether rows interact, though their number is free."""
        return self.rows_interact is None and not self.fixed_batch

    def require_repeatable(self) -> None:
        """Raise `InputError` if two runs cannot be compared."""
        if self.stateful:
            raise InputError(
                "This network keeps a state from run to run, so that two runs on one input differ whatever is edited "
                "between them. Pass wrap(..., forward=...) a function that resets the state before it runs the module."
            )

    def require_independent_rows(self, purpose: str) -> None:
        """Raise `InputError` if rows cannot be taken one by one, which `purpose` needs."""
        self.require_repeatable()
        if not self.independent_rows:
            raise InputError(
                f"{purpose} needs rows that are independent of each other, which they are not in this network: "
                f"{'; '.join(self.reasons())}. Use ablation or patching, which run one condition at a time here."
            )

    def reasons(self) -> list[str]:
        """List the facts as sentences without a full stop; empty for an ordinary network."""
        said = {
            "the batch must have exactly as many rows as the example": self.fixed_batch,
            "rows influence one another, or the first axis of the inputs is not the batch": bool(self.rows_interact),
            "no other valid row could be found to test if rows influence one another": self.untested,
            "a row's result depends on the number of rows or on its place": self.depends_on_batch,
            "it draws random numbers, the same ones in every run": self.random,
            "it keeps a state from run to run": self.stateful,
            "it overwrites its inputs, so each run gets a copy": self.writes_inputs,
            self.whole_output: bool(self.whole_output),
            "it computes in 16 bits": self.low_precision,
        }
        return [fact for fact, holds in said.items() if holds]

    def __str__(self) -> str:
        facts = self.reasons()
        if not self.batches_conditions and not self.stateful:
            facts.append("so sweeps run one condition at a time")
        if shared := [str(place) for place, own in enumerate(self.per_row) if not own]:
            facts.append(f"input {', '.join(shared)} is shared by all rows")
        if whole := [hook for hook, place in self.batch_axis.items() if place is None]:
            facts.append(f"not one part per row: {_some(whole)}")
        if moved := [hook for hook, place in self.batch_axis.items() if place]:
            facts.append(f"the batch is not the first axis: {_some(moved)}")
        if self.in_place:
            facts.append(f"overwritten in place, so cached as copies: {_some(self.in_place)}")
        if self.varying:
            facts.append(f"of a shape that depends on the inputs: {_some(self.varying)}")
        if self.unopened:
            facts.append(f"not opened, since they return no plain tensors: {_some(self.unopened)}")
        return "; ".join(facts) or "each row stands for itself, and every activation has the batch first"


def _some(names: list[str] | tuple[str, ...], limit: int = 4) -> str:
    """Return the first names and their total number."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
