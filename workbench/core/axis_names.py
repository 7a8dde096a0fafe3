"""Names of the axes of any module's activations, followed through the operations of one forward pass.

An axis is a product of factors. A factor is created where its meaning is certain (a convolution creates channels, an
embedding creates features at positions) and keeps it through permutations, reshapes and element-wise operations. A
factor of the input is named by the operation that uses it. Unknown axes are called `axis1` and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

PLACES = ("pos", "height", "width")
"""Kinds of positions. A product of several, such as the patches of an image, is a position."""
UNITS = ("channel", "feature")
"""Kinds of units. A sum of channels and features has features."""
NAMELESS = "nameless"
"""Kind of an axis without a name: features that a convolution slides along, or a sum of positions and features."""
SPATIAL = {1: ("pos",), 2: ("height", "width"), 3: (None, None, None)}
"""Kinds of the axes that a convolution slides along, by its number of dimensions."""


class Factor:
    """Factor of an axis: its length and its kind, if that is known.

    `given` is True if an operation created it with this kind. Other factors take the kind that operations use them as,
    or none if two operations disagree. `of_input` marks a whole axis of the inputs, `summed` features that were added
    to others, as in a residual stream. The `parts` of a factor that was split form the `whole` again when joined.
    """

    def __init__(self, size: int, kind: str | None = None, whole: Factor | None = None, of_input: bool = False) -> None:
        self.size, self.kind, self.given, self.whole, self.of_input = size, kind, kind is not None, whole, of_input
        self.parts: list[Factor] = []
        self.summed = self._disputed = False

    def use_as(self, kind: str | None) -> None:
        """Record that an operation uses this factor as an axis of a kind."""
        if self.given or kind is None or self._disputed:
            return
        if self.kind not in (None, kind):
            kind, self._disputed = None, True
        self.kind = kind

    def split(self, sizes: Sequence[int]) -> list[Factor]:
        """Split into parts of these sizes, of unknown kind."""
        if [part.size for part in self.parts] != list(sizes):
            self.parts = [Factor(size, whole=self) for size in sizes]
        return self.parts


Axis = tuple[Factor, ...]
Axes = tuple[Axis, ...]


def fresh(shape: Iterable[int]) -> Axes:
    """Create axes of unknown kind."""
    return tuple((Factor(size),) for size in shape)


def length(axis: Axis) -> int:
    """Return the length of an axis."""
    return prod(factor.size for factor in axis)


def like(axis: Axis, size: int) -> Axis:
    """Create an axis of the same kind with another length, as after pooling or slicing."""
    if length(axis) == size:
        return axis
    return (Factor(size, kind_of(axis)),)


def join(axis: Axis) -> Axis:
    """Replace adjacent and complete parts of a factor by that factor."""
    for place, factor in enumerate(axis):
        parts = factor.whole.parts if factor.whole is not None else []
        if factor.whole is not None and axis[place : place + len(parts)] == tuple(parts):
            return join((*axis[:place], factor.whole, *axis[place + len(parts) :]))
    return axis


def agree(one: Axis, other: Axis) -> Axis:
    """Return the axis of an element-wise result from the same axis of two operands."""
    if one == other:
        return one
    kinds = kind_of(one), kind_of(other)
    if kinds[0] == kinds[1] and kinds[0] is not None:
        return one
    for axis, kind, known in ((one, *kinds), (other, *reversed(kinds))):
        if kind is None and known is not None:
            use_as(axis, known)
            return other if axis is one else one
    if kinds[0] in UNITS and kinds[1] in UNITS:
        return one if kinds[0] == "feature" else other
    return (Factor(length(one), NAMELESS),)


def use_as(axis: Axis, kind: str | None) -> None:
    """Record a use of an axis that consists of one factor."""
    if len(axis) == 1:
        axis[0].use_as(kind)


def kind_of(axis: Axis) -> str | None:
    """Return the kind of an axis: of its only factor, or of the product of its factors."""
    kinds = [factor.kind for factor in axis]
    if len(kinds) == 1:
        return kinds[0]
    if not kinds or {None, "batch", NAMELESS}.intersection(kinds):
        return None
    return "pos" if set(kinds) <= set(PLACES) else "feature"


def regroup(axes: Axes, shape: Sequence[int]) -> Axes:
    """Return the axes after a reshape in row-major order."""
    old, new, result = list(axes), list(shape), []
    while new:
        if old and length(old[0]) == new[0]:
            result.append(old.pop(0))
            new.pop(0)
            continue
        if old and length(old[0]) == 1:
            old.pop(0)
            continue
        if new[0] == 1:
            result += fresh([new.pop(0)])
            continue
        taken_old, taken_new = [old.pop(0)], [new.pop(0)]
        while (left := prod(map(length, taken_old))) != (right := prod(taken_new)):
            taken_old.append(old.pop(0)) if left < right else taken_new.append(new.pop(0))
        result += distribute([factor for axis in taken_old for factor in axis if factor.size > 1], taken_new)
    return tuple(result)


def distribute(factors: list[Factor], sizes: Sequence[int]) -> list[Axis]:
    """Distribute factors to axes of these sizes in order; a factor across a border is split there if possible."""
    result: list[Axis] = []
    for size in sizes:
        taken: list[Factor] = []
        while (missing := size // prod(factor.size for factor in taken)) > 1 and factors:
            if factors[0].size > missing and factors[0].size % missing == 0:
                factors[:1] = factors[0].split((missing, factors[0].size // missing))
            taken.append(factors.pop(0))
        if prod(factor.size for factor in taken) != size:
            return [(Factor(size),) for size in sizes]
        result.append(join(tuple(taken)))
    return result


class AxisTracker:
    """Axes of tensors, kept as long as the tensors live."""

    def __init__(self) -> None:
        self._axes = WeakTensorKeyDictionary()

    def knows(self, x: Tensor) -> bool:
        """Return whether a tensor depends on the inputs, as far as the recorded operations show."""
        return x in self._axes

    def of(self, x: Tensor) -> Axes:
        """Return the axes of a tensor, unknown ones if it was never recorded."""
        return self._axes[x] if x in self._axes else fresh(x.shape)

    def set(self, x: Tensor, axes: Axes) -> None:
        """Record the axes of a tensor if they match its shape, else unknown axes."""
        self._axes[x] = axes if tuple(map(length, axes)) == tuple(x.shape) else fresh(x.shape)


def names_of(axes: Axes, batch: int | None) -> str:
    """Return names for the axes of an activation with the batch at the given place (None: no batch)."""
    kinds = [None if place == batch else kind_of(axis) for place, axis in enumerate(axes)]
    kinds = [None if kind in ("batch", NAMELESS) else kind for kind in kinds]
    if len(axes) == 2 and batch == 0 and kinds[1] is None and len(axes[1]) > 1:
        kinds[1] = None if "batch" in [factor.kind for factor in axes[1]] else "feature"  # what was flattened
    kinds = [unit_name(axis, kind, kinds) if kind in UNITS else kind for axis, kind in zip(axes, kinds, strict=True)]
    if kinds.count("pos") == 2:
        pair = iter(("query", "key"))
        kinds = [next(pair) if kind == "pos" else kind for kind in kinds]
        if len(kinds) == 4 and kinds[1] is None and batch == 0:
            kinds[1] = "head"
    unique = Counter(kinds)
    named = [kind if kind is not None and unique[kind] == 1 else f"axis{place}" for place, kind in enumerate(kinds)]
    return " ".join("batch" if place == batch else name for place, name in enumerate(named))


def unit_name(axis: Axis, kind: str | None, beside: Sequence[str | None]) -> str:
    """Return the name of an axis of channels or features, given the kinds of the other axes."""
    if len(beside) == 3 and "pos" in beside and any(factor.summed for factor in axis):
        return "d_model"
    is_map = {"height", "width"} <= set(beside) and "channel" not in beside
    return "channel" if kind == "channel" or is_map else "unit"
