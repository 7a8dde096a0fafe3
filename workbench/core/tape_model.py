"""Models recorded as a tape: each value of the forward pass is a site, and each input of a node a port."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from workbench.core.axes_of_tape import name_axes
from workbench.core.errors import InputError
from workbench.core.graph import Graph
from workbench.core.hooked import AxisHookPoint, HookedModel, State
from workbench.core.lone_rows import find_spread, require_lone_rows, reverse_rows
from workbench.core.module_run import call
from workbench.core.ports import Part, Port, find_parts, is_attention
from workbench.core.program import Program
from workbench.core.recorded_form import Form, tensors_of
from workbench.core.recordings import Recordings, nearly, outputs_of
from workbench.core.regions import Derivation
from workbench.core.replay import Values, between, replay
from workbench.core.sites_of_tape import name_values
from workbench.core.tape import Ref
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

    Cost: 7 forward passes, 7 replays of the tape, and for each node two runs of what it computes.

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
        self.recordings = Recordings(module, call, take, example)
        self.batched, constants = self.recordings.first, self.recordings.constants
        tape = self.batched.at(2)
        with torch.no_grad():
            values = replay(tape, tensors_of(take(example, 2)))
            find_spread(self.batched, tensors_of(take(example, 2)), values)
            self.derivation = Derivation(self.batched, values, constants)
            self.regions = self.derivation.regions()
        self.names = name_values(self.batched, tape.returned, self.regions.live)
        self.parts = find_parts(self.batched, self.regions, self.names)
        self.bounds = self._stage_bounds()
        self._programs: dict[tuple[int, int], Program] = {}
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
        replayed, reverse = self.run_stages(inputs, 0, len(self.stages)), self._follows(inputs)
        outputs = [leaf for leaf in tree_leaves(self.batched.pattern.output) if isinstance(leaf, Ref)]
        for ref, x, mine, first, second in zip(outputs, *map(outputs_of, (own, replayed, alone, again)), strict=True):
            if not nearly(mine, x) or not nearly(second, x) or not reverse:
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
        crossing = (ref for place in self.bounds[1:-1] for ref in self._crossing_at(place))
        shown = [*(ref for ref, names in self.names.of.items() if names), *crossing]
        require_lone_rows(self.batched, tensors_of(inputs), shown, type(self.module).__name__, self._label)

    def _follows(self, inputs: Any) -> bool:
        """Return whether tape and module have the same output for reversed rows, or take another branch there."""
        self.call(inputs)  # a value that the module keeps is now of the rows in their order
        own = outputs_of(self.call(inputs := reverse_rows(self.batched, inputs)))
        try:
            return all(map(nearly, outputs_of(self.run_stages(inputs, 0, len(self.stages))), own))
        except InputError:
            return True

    def _label(self, ref: Ref) -> str:
        """Return the name of a value, or of the operation that makes it."""
        if self.names.of.get(ref):
            return self.names.first(ref)
        return self.batched.pattern.operations[self.batched.pattern.maker[ref]].name

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

        self._use(self._example)
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
            self._use(state)
            values.update(zip(tape.inputs, leaves, strict=True))
            first = next(ref for ref in tape.inputs if ref in self.batched.batch_axis)
            rows = values[first].shape[self.batched.batch_axis[first]] // self.batched.per_row[first]
            self.recordings.verify(state, rows, self.batched)
            for ref in tape.inputs:
                self._send(ref, values)
        else:
            self.batched = self.recordings.by_form[state.form]
            rows = len(state.values[0])
            crossing = self._crossing_at(start)
            values.update((ref, self.batched.merge_rows(ref, x)) for ref, x in zip(crossing, state.values, strict=True))
        self.program(rows).run(values, start, stop)
        if stop < len(tape.operations):
            crossing = self._crossing_at(stop)
            form = next(form for form, tape in self.recordings.by_form.items() if tape is self.batched)
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

    def _use(self, inputs: Any) -> None:
        """Use the tape of inputs of this form, recorded if form or network are new."""
        if self.recordings.forget_if_changed():
            self._programs.clear()
        self.batched = self.recordings.find(inputs)

    def _send(self, ref: Ref, values: Values) -> None:
        """Pass a value through the hook points with its names."""
        for name in self.names.of.get(ref, ()):
            values[ref] = self._through(self.hook_dict[name], ref, values[ref])

    def _through(self, point: AxisHookPoint, ref: Ref, x: Tensor) -> Tensor:
        """Pass a value through a hook point, rows first."""
        if ref not in self.batched.batch_axis or (self.batched.batch_axis[ref] == 0 and self.batched.per_row[ref] == 1):
            return point(x)
        return self.batched.merge_rows(ref, point(self.batched.rows_first(ref, x)))
