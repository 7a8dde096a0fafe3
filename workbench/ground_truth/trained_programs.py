"""Networks trained to implement a program with the same edges: strict interchange training (Gupta et al. 2024).

Their weights are dense. With any edge cut, so that it carries the write of another input, the network was trained to
give the output of the compiled program with that edge cut. They are made by `tests/ground_truth/train_programs.py`.
"""

from __future__ import annotations

from functools import cache, partial

from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import Ablation, KnownCircuit
from workbench.ground_truth.tracr import FOLDER, Answer, Program, find_mattering, read_program

TRAINED = FOLDER / "trained"
NAMES = tuple(sorted(path.stem for path in TRAINED.glob("*.safetensors")))


@cache
def load_trained_program(name: str) -> Program:
    """Load a trained network in double precision."""
    return read_program(TRAINED / f"{name}.safetensors")


def make_trained_circuit(name: str) -> KnownCircuit:
    """Return a trained program as a known circuit.

    In training, cut edges carried the writes of other inputs, so the circuit is known only for resampling.
    """
    known = load_trained_program(name)
    about = f"A network trained to compute {name!r} with the same edges as the program compiled by Tracr."
    metric, matter = Answer(known.stored["expected"]), partial(find_mattering_of_program, name)
    return KnownCircuit(
        about, known.model, known.stored["tokens"], known.corrupted, metric, matter, labelled=("resample",)
    )


def find_mattering_of_program(name: str, ablation: Ablation) -> Tensor:
    """Return whether each edge matters; raises an `InputError` for zero ablation."""
    if ablation != "resample":
        raise InputError(f"The circuit of trained_{name} is not known for {ablation} ablation. Use 'resample'.")
    return find_mattering(name, ablation)


for _name in NAMES:
    CIRCUITS.register(f"trained_{_name}")(partial(make_trained_circuit, _name))
