"""Models recorded as a tape: every value of any module's forward pass is a site, every reading of a node a port."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from workbench.core.any_batch import BatchedTape, generalize
from workbench.core.axes_of_tape import name_axes
from workbench.core.constant_sources import expose_constants
from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.hooked import AxisHookPoint, HookedModel, State
from workbench.core.module_run import call
from workbench.core.ports import Part, Port, find_parts, is_attention
from workbench.core.program import Program
from workbench.core.recorded_form import Form, form_of, state_of, tensors_of
from workbench.core.regions import Derivation
from workbench.core.replay import Values, between, replay
from workbench.core.sites_of_tape import name_values
from workbench.core.tape import Ref, record
from workbench.core.torch_internals import tree_leaves, tree_map
from workbench.core.training_mode import require_evaluation_mode
from workbench.core.unit_reads import finder

Call = Callable[[Any], Any]


class Crossing(NamedTuple):
    """State between two stages: the values that are read later, rows first, and the form of the inputs."""

    form: Form
    values: tuple[Tensor, ...]


def record_module(module: nn.Module, example: Any, forward: Callable[[nn.Module, Any], Any] = call) -> TapeModel:
    """Open any module by recording its forward pass: every value is a site, and its computation graph is derived.

    1. Record the module twice, with two and three rows, as functional operations (`tape.py`, `any_batch.py`).
    2. Find the nodes: what is not affine in the activations, with functions written out as one node (`regions.py`).
    3. Replay the tape on four rows and compare it with the module, and each row with what it gives alone.

    Args:
        module: The network. It is put in evaluation mode and used, not copied.
        example: Valid inputs, batch first: a tensor, a tuple of arguments or a mapping of keyword arguments. Tensors as
            long as the first one have a row for each example.
        forward: Runs the module on inputs, where that is not a plain call.

    Returns:
        A model with sites, stages and `graph(detail)`, for every technique that takes a model.

    Raises:
        InputError: If the rows of a batch interact, the network draws random numbers, its output does not depend on
            the inputs, or it does other work for another number of rows. `workbench.wrap` opens these with hooks.

    Cost: 7 forward passes, and for each node two runs of what it computes.

    Example:
        >>> module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> model = workbench.record(module, example=torch.randn(2, 4))
        >>> model.graph().n_edges
        48
    """
    return TapeModel(module, example, partial(forward, module), take_rows)


def take_rows(inputs: Any, rows: int) -> Any:
    """Return the first rows of a batch, repeated as needed."""
    tensors = [x for x in tensors_of(inputs) if x.ndim]
    if not tensors or not len(tensors[0]):
        raise InputError("The example holds no tensor with rows. Pass a batch, its examples first.")
    index = torch.arange(rows) % (size := len(tensors[0]))

    def take(x: Any) -> Any:
        return x[index.to(x.device)] if isinstance(x, Tensor) and x.ndim and len(x) == size else x

    return tree_map(take, inputs)


class TapeModel(HookedModel):
    """Module whose forward pass was recorded.

    Args:
        module: The network, put in evaluation mode.
        example: Valid inputs.
        call: Runs the module on inputs.
        take: Returns the first rows of the example, repeated as needed.
    """

    family = "module"
    details = ("head", "neuron", "block")

    def __init__(self, module: nn.Module, example: Any, call: Call, take: Callable[[Any, int], Any]) -> None:
        super().__init__()
        self.module = module.eval()
        self.call, self.take, self._example = call, take, example
        before = state_of(module)
        self.batched, constants = self._record(example)
        self._state = state_of(module)
        self._changing = {name for name in {*before, *self._state} if before.get(name) != self._state.get(name)}
        """Attributes that each run writes, such as the last output: they are no reason to record again."""
        self._shared = self._tensors_without_rows(self.batched)
        self.recordings = {form_of(example, self._shared): self.batched}
        tape = self.batched.at(2)
        with torch.no_grad():
            values = replay(tape, tensors_of(take(example, 2)))
            self.derivation = Derivation(self.batched, values, constants)
            self.regions = self.derivation.regions()
        self.names = name_values(self.batched, tape.returned, self.regions.live)
        self.parts = find_parts(self.batched, self.regions, self.names)
        self.bounds = self._stage_bounds()
        self._programs: dict[tuple[int, int], Program] = {}
        self._verified: dict[int, set[int]] = {}
        self.unit_read = finder(self)
        self.axes_of = self._name_axes()
        points = {name: AxisHookPoint(" ".join(self.axes_of[ref])) for name, ref in self.names.at.items()}
        points |= {port.name: self._port_point(port) for part in self.parts for port in part.ports}
        n_stages = len(self.bounds) - 1
        self.join(points, [partial(self.run_stage, k) for k in range(n_stages)])
        self.eval()
        self._require_equal(take(example, 4))

    @torch.no_grad()
    def _require_equal(self, inputs: Any) -> None:
        """Raise InputError unless tape and module have the same output, and each row the same output alone."""
        own, again, alone = self.call(inputs), self.call(inputs), self.call(self.take(inputs, 1))
        replayed = self.run_stages(inputs, 0, len(self.stages))
        outputs = [leaf for leaf in tree_leaves(self.batched.pattern.output) if isinstance(leaf, Ref)]
        for ref, x, mine, first, second in zip(outputs, *map(outputs_of, (own, replayed, alone, again)), strict=True):
            if not nearly(mine, x) or not nearly(second, x):
                raise InputError(
                    f"The recorded pass of {type(self.module).__name__} gives another output than the module: it draws "
                    "random numbers or keeps a state. Open it with hooks alone."
                )
            rows = ref in self.batched.batch_axis
            if not rows or not nearly(self.batched.rows_first(ref, first)[0], self.batched.rows_first(ref, x)[0]):
                raise InputError(
                    f"The rows of a batch interact in {type(self.module).__name__}: a row alone gives another output. "
                    "Open it with hooks alone."
                )

    @torch.no_grad()
    def _verify(self, inputs: Any, rows: int) -> None:
        """Raise unless the tape gives what the module gives, the first time that it runs on so many rows.

        Cost: 2 forward passes then, and none later.
        """
        if rows in self._verified.setdefault(id(self.batched), set()):
            return
        tape = self.batched.at(rows)
        values = replay(tape, tensors_of(inputs))
        mine = [values[leaf] for leaf in tree_leaves(tape.output) if isinstance(leaf, Ref)]
        own = outputs_of(self.call(inputs))
        if not all(nearly(one, other) for one, other in zip(mine, own, strict=True)):
            raise InputError(
                f"{type(self.module).__name__} does other work for {rows} rows of these inputs than for its example. "
                "Record it again with such an example, or open it with hooks alone."
            )
        self._verified[id(self.batched)].add(rows)

    def example(self, batch: int = 2, seed: int = 0) -> Any:
        """Return the first `batch` rows of the example, repeated as needed."""
        return self.take(self._example, batch)

    def forward(self, inputs: State) -> Any:
        """Run the module itself if no hook is active, else the tape."""
        if self.router.active_hooks is None:
            require_evaluation_mode(self.module)
            return self.call(inputs)
        return super().forward(inputs)

    # Description

    def graph(self, detail: str = "head") -> Graph:
        """Return the computation graph.

        Args:
            detail: "head" has a node for each head and channel, and one for each layer of neurons behind a norm;
                "neuron" has a node for each of these neurons; "block" has one node for each layer of any kind.
        """
        from workbench.core.derived_graph import derive_graph

        self._use(form_of(self._example, self._shared), self._example)
        return derive_graph(self, detail)

    def site_of(self, ref: Ref) -> str:
        """Return the name of a value."""
        return self.names.first(ref)

    def _port_point(self, port: Port) -> AxisHookPoint:
        axes = list(self.axes_of[port.value])
        if port.copies is not None:
            axes.insert(1, "head")
        return AxisHookPoint(" ".join(axes), displaces=port.copies is not None, on_request=True)

    def _name_axes(self) -> dict[Ref, tuple[str, ...]]:
        """Return the names of all axes; those of units are named by their kind."""
        axes = {ref: list(names) for ref, names in name_axes(self.batched).items()}
        for region in self.regions.nodes:
            if (units := region.units) is None:
                continue
            heads = is_attention(self.batched.pattern, region)
            for ref, place in ((region.exit, units.axis), *units.operand_axis.items()):
                name, axis = "head" if heads else "unit", self.batched.shown_axis(ref, place)
                if name not in axes[ref] and (heads or axes[ref][axis].startswith("axis")):
                    axes[ref][axis] = name
                if heads and axes[ref][-1].startswith("axis"):
                    axes[ref][-1] = "d_head"
        return {ref: tuple(names) for ref, names in axes.items()}

    # Running

    def _stage_bounds(self) -> list[int]:
        """Return the numbers of operations at which the network can be cut: after each node has written."""
        n = len(self.batched.pattern.operations)
        places = {part.place + 1 for part in self.parts if part.region is not None}
        return [0, *sorted(place for place in places if 0 < place < n and self._can_cut(place)), n]

    def _can_cut(self, place: int) -> bool:
        return all(ref in self.batched.batch_axis for ref in self._crossing(place))

    def _crossing(self, place: int) -> list[Ref]:
        """Return the values made before a place that are read after it."""
        tape = self.batched.pattern
        made = {*tape.inputs, *(out for op in tape.operations[:place] for out in op.outputs if out is not None)}
        read = {ref for op in tape.operations[place:] for ref in op.reads} | set(tape.outputs)
        read |= {port.value for part in self.parts if part.place >= place for port in part.ports}
        read |= {ref for part in self.parts if part.place >= place for ref in self._context(part)}
        return sorted(ref for ref in made & read if ref in tape.shapes)

    def _context(self, part: Part) -> set[Ref]:
        """Return the values that a node reads beside its operands."""
        tape = self.batched.pattern
        starts = [port.value for port in part.ports]
        operations = between(tape, starts, [part.write])
        inner = {out for i in operations for out in tape.operations[i].outputs}
        return {ref for i in operations for ref in tape.operations[i].reads if ref not in inner and ref in tape.shapes}

    def run_stage(self, number: int, state: State) -> State:
        """Run one stage. The state is the inputs or a `Crossing`."""
        start, stop = self.bounds[number], self.bounds[number + 1]
        values: Values = {}
        tape = self.batched.pattern
        if number == 0:
            leaves = tensors_of(state)
            self._use(form_of(state, self._shared), state)
            values.update(zip(tape.inputs, leaves, strict=True))
            first = next(ref for ref in tape.inputs if ref in self.batched.batch_axis)
            rows = values[first].shape[self.batched.batch_axis[first]] // self.batched.per_row[first]
            self._verify(state, rows)
            for ref in tape.inputs:
                self._send(ref, values)
        else:
            self._use(state.form)
            rows = len(state.values[0])
            crossing = self._crossing_at(start)
            values.update((ref, self.batched.merge_rows(ref, x)) for ref, x in zip(crossing, state.values, strict=True))
        self.program(rows).run(values, start, stop)
        if stop < len(tape.operations):
            crossing = self._crossing_at(stop)
            form = next(form for form, tape in self.recordings.items() if tape is self.batched)
            return Crossing(form, tuple(self.batched.rows_first(ref, values[ref]) for ref in crossing))
        constants = self.batched.at(rows).constants
        return tree_map(
            lambda leaf: values.get(leaf, constants.get(leaf)) if isinstance(leaf, Ref) else leaf, tape.output
        )

    def _crossing_at(self, place: int) -> list[Ref]:
        if place not in self._crossings:
            self._crossings[place] = self._crossing(place)
        return self._crossings[place]

    @property
    def _crossings(self) -> dict[int, list[Ref]]:
        return self.__dict__.setdefault("_crossing_values", {})

    def program(self, rows: int) -> Program:
        """Return the tape for a number of rows, ready to run."""
        key = (id(self.batched), rows)
        if key not in self._programs:
            self._programs[key] = Program(self, rows)
        return self._programs[key]

    def _record(self, inputs: Any) -> tuple[BatchedTape, tuple[Ref, ...]]:
        """Return the tape of inputs of this shape, and the constants exposed on it."""
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

    def _use(self, form: Form, inputs: Any = None) -> None:
        """Use the tape of inputs of these shapes; record it if they are new."""
        if inputs is not None and self._has_changed():
            self.recordings.clear()
            self._programs.clear()
            self._verified.clear()
            self._state = state_of(self.module)
        if form not in self.recordings:
            self.recordings[form] = self._recorded_anew(inputs)
        self.batched = self.recordings[form]

    def _has_changed(self) -> bool:
        """Return whether a weight, part, hook or attribute of the network is another than when it was recorded."""
        now = state_of(self.module)
        return any(now.get(name) != self._state.get(name) for name in {*now, *self._state} - self._changing)

    def _recorded_anew(self, inputs: Any) -> BatchedTape:
        """Return the tape for inputs of another form, or of a network that was changed, if it does the same work."""
        found, _ = self._record(inputs)
        work = [[(op.function, op.reads, op.outputs) for op in b.pattern.operations] for b in (self.batched, found)]
        if work[0] != work[1] or self._tensors_without_rows(found) != self._shared:
            place = next((a for a, b in zip(*work, strict=False) if a != b), work[0][-1])
            raise InputError(
                f"{type(self.module).__name__} does other work for these inputs than for its example, or was changed "
                f"since it was recorded, from {place[0]} on. Record it again with such an example."
            )
        return found

    @staticmethod
    def _tensors_without_rows(batched: BatchedTape) -> frozenset[int]:
        """Return the numbers of the tensors among the inputs that all rows share."""
        return frozenset(i for i, ref in enumerate(batched.pattern.inputs) if ref not in batched.batch_axis)

    def _send(self, ref: Ref, values: Values) -> None:
        """Pass a value through the hook points with its names."""
        for name in self.names.of.get(ref, ()):
            values[ref] = self._through(self.hook_dict[name], ref, values[ref])

    def _through(self, point: AxisHookPoint, ref: Ref, x: Tensor) -> Tensor:
        """Pass a value through a hook point, rows first."""
        if ref not in self.batched.batch_axis or (self.batched.batch_axis[ref] == 0 and self.batched.per_row[ref] == 1):
            return point(x)
        return self.batched.merge_rows(ref, point(self.batched.rows_first(ref, x)))


def nearly(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal up to rounding."""
    if one.shape != other.shape or not one.is_floating_point():
        return torch.equal(one, other)
    scale = float(other.double().nan_to_num().abs().max()) if other.numel() else 0.0
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5 * scale, equal_nan=True)


def outputs_of(output: Any) -> list[Tensor]:
    """Return the tensors among inputs."""
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
