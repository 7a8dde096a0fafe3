"""Ports of a recorded network: the inputs at which nodes and the output read what earlier nodes wrote.

A head reads the stream through its norm, so each head has ports for its queries, keys and values with separate copies
of the stream. Units of other layers read one entry of a sum each, or share one port behind a norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.core.any_batch import BatchedTape
from workbench.core.regions import Reading, Region, Regions
from workbench.core.sites_of_tape import SiteNames
from workbench.core.tape import Ref, Tape


@dataclass(frozen=True)
class Port:
    """Port of a node or the output: the operands that follow from one value.

    `copies`: the value is read once for each unit of the node; None when all units share the port.
    """

    name: str
    value: Ref
    operands: tuple[Ref, ...]
    copies: int | None
    axis: int | None


@dataclass(frozen=True)
class Part:
    """Node with its ports, or the output if `region` is None."""

    region: Region | None
    write: Ref
    ports: tuple[Port, ...]
    place: int
    """Number of the operation after which it has written."""


def find_parts(batched: BatchedTape, regions: Regions, names: SiteNames) -> list[Part]:
    """Return every node and output with its ports, in firing order, and name values that have no site yet."""
    parts, tape = [], batched.pattern
    maker = tape.maker
    for region in regions.nodes:
        if region.exit not in names.of:
            names.add(f"{tape.operations[region.operations[-1]].module}:write", region.exit)
        where = names.first(region.exit)
        name_operands(tape, where, region, names)
        parts.append(Part(region, region.exit, ports_of(tape, where, region.readings, region), maker[region.exit]))
    for i, reading in enumerate(regions.sinks):
        where = "output" if len(regions.sinks) == 1 else f"output:{i}"
        place = maker.get(reading.operand, -1)
        parts.append(Part(None, reading.operand, ports_of(tape, where, (reading,), None), place))
    return sorted(parts, key=lambda part: (part.place, part.region is None))


def name_operands(tape: Tape, where: str, region: Region, names: SiteNames) -> None:
    """Make the operands of attention sites, so queries, keys and values can be cached and edited."""
    operands = list(dict.fromkeys(reading.operand for reading in region.readings))
    if is_attention(tape, region) and len(operands) == 3:
        for letter, operand in zip("qkv", operands, strict=True):
            names.add(f"{where}.{letter}", operand)


def ports_of(tape: Tape, where: str, readings: Sequence[Reading], region: Region | None) -> tuple[Port, ...]:
    """Return the ports of a node, one for each value that it reads; of heads, one for each operand and one for all."""
    units = region.units if region is not None else None
    heads = units is not None and is_attention(tape, region)
    groups: dict[tuple[Ref, ...], list[Ref]] = {}
    for reading in readings:
        groups.setdefault((reading.value, reading.operand) if heads else (reading.value,), []).append(reading.operand)
    names = ["q_in", "k_in", "v_in"] if heads and len(groups) == 3 else [f"in_{i}" for i in range(len(groups))]
    names = ["in"] if len(groups) == 1 else names
    ports = []
    for name, ((value, *_), operands) in zip(names, groups.items(), strict=True):
        direct, axis = operands == [value], None
        if direct and region is None and len(tape.shapes[value]) == 2:
            axis = 1
        elif direct and units is not None:
            axis = units.operand_axis[value]
        copies = units.size if heads and not direct and units is not None else None
        ports.append(Port(f"{where}.{name}", value, tuple(operands), copies, axis))
    if len(ports) > 1 and heads and len({port.value for port in ports}) == 1:
        together = tuple(operand for port in ports for operand in port.operands)
        ports.append(Port(f"{where}.in", ports[0].value, together, None, None))
    return tuple(ports)


def is_attention(tape: Tape, region: Region | None) -> bool:
    """Return whether a node computes attention: softmax between products, or one kernel for both."""
    names = {tape.operations[i].name for i in region.operations} if region is not None else set()
    return any("attention" in name for name in names) or {"_softmax", "bmm"} <= names
