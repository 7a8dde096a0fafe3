"""Ordinary networks trained to be a program on the inside too: strict interchange training (Gupta et al. 2024).

Their weights are as dense as those of any network. What each edge does was trained: with an edge cut, so that it
carries the write of another input, the network is to give what the compiled program gives with that edge cut.
`tests/ground_truth/train_programs.py` makes them.
"""

from __future__ import annotations

from functools import cache, partial

from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import Ablation, KnownCircuit
from workbench.ground_truth.tracr import FOLDER, Answer, Program, matters, read_program

TRAINED = FOLDER / "trained"
NAMES = tuple(sorted(path.stem for path in TRAINED.glob("*.safetensors")))


@cache
def trained_program(name: str) -> Program:
    """The trained network of this name, in double precision."""
    return read_program(TRAINED / f"{name}.safetensors")


def trained(name: str) -> KnownCircuit:
    """A trained program as a known circuit. Cut edges carried other inputs' writes in training, never zero, so nothing
    is known about zero ablation."""
    known = trained_program(name)
    about = f"A network trained to compute {name!r} by the same edges as the program that Tracr compiled."
    metric, matter = Answer(known.stored["expected"]), partial(as_in_the_program, name)
    return KnownCircuit(
        about, known.model, known.stored["tokens"], known.corrupted, metric, matter, labelled=("resample",)
    )


def as_in_the_program(name: str, ablation: Ablation) -> Tensor:
    """Which edges matter; raises for zero ablation."""
    if ablation != "resample":
        raise InputError(f"Which edges of trained_{name} matter under {ablation} ablation is not known. Use resample.")
    return matters(name, ablation)


for _name in NAMES:
    CIRCUITS.register(f"trained_{_name}")(partial(trained, _name))
