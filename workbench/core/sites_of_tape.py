"""Names of the values on a tape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from workbench.core.affine import MOVES
from workbench.core.any_batch import BatchedTape
from workbench.core.tape import Ref

READABLE = {
    "_scaled_dot_product_flash_attention_for_cpu": "attention",
    "_scaled_dot_product_attention_math": "attention",
    "_softmax": "softmax",
    "native_layer_norm": "layer_norm",
    "max_pool2d_with_indices": "max_pool2d",
    "native_batch_norm": "batch_norm",
    "bmm": "matmul",
    "mm": "matmul",
    "addmm": "linear",
    "convolution": "conv",
}
"""Readable names of kernels: those of the functions that call them."""


class SiteNames:
    """Names of values. Each name has one value; a value may have several names."""

    def __init__(self) -> None:
        self.at: dict[str, Ref] = {}
        self.of: dict[Ref, list[str]] = {}

    def add(self, name: str, ref: Ref) -> None:
        """Add a name of a value, numbered if it is in use."""
        if name in self.at:
            name = f"{name}_{sum(known.startswith(name) for known in self.at) + 1}"
        self.at[name] = ref
        self.of.setdefault(ref, []).append(name)

    def first(self, ref: Ref) -> str:
        """Return the first name of a value."""
        return self.of[ref][0]


def name_values(batched: BatchedTape, names: Mapping[str, tuple[Ref, ...]], live: frozenset[Ref]) -> SiteNames:
    """Return the sites of a tape: what each submodule returned, and what each operation outside of them made.

    Args:
        batched: The tape.
        names: Values that each submodule returned.
        live: Floating-point values that depend on the inputs.

    Returns:
        The names: the submodule's path (`path:0`, `path:1` where it returns several), or for an operation
        `path:name` of the submodule that ran it, `path:name_2` for its second call there.
    """
    tape, found = batched.pattern, SiteNames()
    for i, ref in enumerate(ref for ref in tape.inputs if ref in live):
        found.add("input" if len(tape.inputs) == 1 else f"input:{i}", ref)
    for path, refs in names.items():
        for i, ref in enumerate(refs):
            if ref in live:
                found.add(path if len(refs) == 1 else f"{path}:{i}", ref)
    counts = Counter[str]()
    for op in tape.operations:
        constant = not any(ref in tape.shapes for ref in op.reads)
        value = op.outputs[0]
        if (op.name in MOVES and not constant) or value is None or value not in live or value in found.of:
            continue
        base = f"{op.module}:{'constant' if constant else READABLE.get(op.name, op.name)}"
        counts[base] += 1
        found.add(base if counts[base] == 1 else f"{base}_{counts[base]}", value)
    return found
