"""Rows of numbers: a CSV or NumPy file, typed numbers, or draws from a normal distribution.

Any network whose input is one vector takes them. They are the network's own modality if its data are neither images nor
observations of an environment.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from workbench.core.errors import InputError, UnknownNameError, short
from workbench.core.random import generator
from workbench.core.reading import read_text
from workbench.core.registry import MODALITIES
from workbench.data.images.image_data import ImageData
from workbench.experiments.inputs.batches import Batch, Request, other_answers
from workbench.experiments.inputs.forms import FileField, Form, TextField
from workbench.experiments.inputs.given_tensors import ALONE, DAMAGED, load_numpy
from workbench.experiments.inputs.kept_files import locate_file
from workbench.experiments.inputs.language import ALSO, Draws, Rows, Seed, Selection, Source
from workbench.experiments.inputs.modality import Modality, Preset, has_data_of, modality_of, takes_vectors
from workbench.experiments.inputs.observations import TABLE
from workbench.experiments.inputs.views import NumberView
from workbench.experiments.questions.budget import Amount, require
from workbench.experiments.questions.spelling import decimal
from workbench.experiments.store.data_contents import data_set

FILE = re.compile(r"(?P<path>.+?\.(csv|npy|npz))(:(?P<rows>.+))?", re.DOTALL | re.IGNORECASE)
CANDIDATES = 256
"""Draws from which the corrupted rows are taken."""


@dataclass(frozen=True)
class FileRows(Selection):
    """`PATH`, all rows of a file, or a range of them: `PATH:0:16`."""

    path: str
    rows: Rows = field(default_factory=Rows)

    @classmethod
    def parse(cls, text: str) -> FileRows | None:
        match = FILE.fullmatch(text)
        rows = Rows.parse(match["rows"] or ":") if match else None
        return None if match is None or rows is None or rows.which else cls(match["path"], rows)

    def __str__(self) -> str:
        return self.path if self.rows == Rows() else f"{self.path}:{self.rows}"

    @property
    def examples(self) -> int | None:
        return self.rows.examples

    @property
    def files(self) -> tuple[str, ...]:
        return (self.path,)

    def at(self, files: tuple[str, ...]) -> FileRows:
        ending = f".{self.path.rpartition('.')[2]}"
        return replace(self, path=files[0].removesuffix(ending) + ending)


@dataclass(frozen=True)
class Vectors(Selection):
    """`0.5,-1,2`, or several rows between `||`."""

    rows: tuple[tuple[float, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Vectors | None:
        rows = tuple(tuple(decimal(word.strip()) for word in row.split(",")) for row in text.split(ALSO))
        return None if any(None in row for row in rows) else cls(rows)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return ALSO.join(",".join(f"{number:.17g}" for number in row) for row in self.rows)

    @property
    def examples(self) -> int:
        return len(self.rows)

    @property
    def is_own(self) -> bool:
        return True

    @property
    def amounts(self) -> dict[str, Amount]:
        return super().amounts | {"units": max(map(len, self.rows))}


def read_file_rows(request: Request) -> Batch:
    """Read rows of a file, in the units and with the names of the network's data."""
    selection: FileRows = request.selection
    path, names = locate_file(selection.path), names_of(request.model)
    values = read_table(path, names) if path.lower().endswith(".csv") else read_array(path)
    chosen = selection.rows.within(len(values), f"the file {short(selection.path)}")
    note = f"rows {chosen.start} to {chosen.stop - 1} of your own file"
    return batch_of(values[chosen], request, [f"row {i}" for i in range(chosen.start, chosen.stop)], note)


def read_numbers(request: Request) -> Batch:
    """Read typed rows."""
    rows: tuple[tuple[float, ...], ...] = request.selection.rows
    if len(set(map(len, rows))) > 1:
        raise InputError(f"Rows of one batch need the same number of numbers, not {list(map(len, rows))}.")
    return batch_of(np.array(rows), request, [f"row {i}" for i in range(len(rows))], "typed numbers")


def read_normal(request: Request) -> Batch:
    """Draw N rows from the standard normal distribution, in the network's own units."""
    seed, n = request.selection.seed, request.selection.n
    if n < 1 or request.model.card.architecture == TABLE:
        wrong = "asks for no rows" if n < 1 else "draws numbers, and a table of values takes one-hot states"
        raise InputError(f"{request.inputs} {wrong}. Write {request.inputs.form if n < 1 else 'rows:PATH.csv'}.")
    labels = tuple(f"draw {i}" for i in range(n))
    return Batch(draw_rows(request, seed, n), None, labels, f"draws from the standard normal distribution, seed {seed}")


def read_other_rows(request: Request) -> Batch:
    """Read, for each clean row, one of another answer: another clean row if there is one, else a draw."""
    clean, seed = request.clean_for("rows of another answer").inputs, request.selection.seed
    candidates = torch.cat([clean, draw_rows(request, seed, CANDIDATES)])
    rows = other_answers(request, candidates, (torch.arange(len(candidates)) < len(clean)).float()[None])
    labels = tuple(f"row {row}" if row < len(clean) else f"draw {row - len(clean)}" for row in rows.tolist())
    return Batch(candidates[rows], None, labels, f"rows of another answer, seed {seed}")


def draw_rows(request: Request, seed: int, n: int) -> Float[Tensor, "n feature"]:
    """Draw rows from the standard normal distribution."""
    return torch.randn(n, len(names_of(request.model)), generator=generator(seed, "rows"))


def names_of(network: Any) -> list[str]:
    """Name the numbers of a network's input."""
    return modality_of(network.card).feature_names(network.card, network.example(1).shape[1])


def read_table(path: str, names: Sequence[str]) -> Float[np.ndarray, "row column"]:
    """Read a CSV file; the columns of one with a header are put in the order of `names`, if these mean something."""
    lines = [line for line in csv.reader(io.StringIO(read_text(path, "CSV file"))) if line]
    header = [] if not lines or decimal(lines[0][0].strip()) is not None else [word.strip() for word in lines.pop(0)]
    require("rows", len(lines), "the rows of the file")
    rows = [[decimal(word.strip()) for word in line] for line in lines]
    for place, row in enumerate(rows):
        if None in row or len(row) != len(rows[0]):
            raise InputError(
                f"Row {place} of {short(path)} is {short(','.join(lines[place]))}; every row should have the same "
                "number of decimal numbers between commas."
            )
    values = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    if not header or names[0] == "feature 0":
        return values
    return values[:, [place_of(name, header, path) for name in names]]


def place_of(name: str, header: Sequence[str], path: str) -> int:
    """Return the place of a column."""
    if header.count(name) != 1:
        raise UnknownNameError("column", name, header, where=f" in {short(path)}")
    return header.index(name)


def read_array(path: str) -> Float[np.ndarray, "row column"]:
    """Read the one array of an `.npy` or `.npz` file, or its array `inputs`."""
    try:
        arrays = load_numpy(path)
        loaded: Any = arrays[next(iter(arrays)) if len(arrays) == 1 else ALONE]
    except DAMAGED as reason:
        raise InputError(
            f"{short(path)} cannot be read as an array of numbers ({short(str(reason))}). Save it with numpy.save, or "
            f"with numpy.savez under the name {ALONE!r}."
        ) from None
    if loaded.ndim != 2 or loaded.dtype.kind not in "fiub":
        raise InputError(f"{short(path)} holds {loaded.dtype} of shape {loaded.shape}, not rows of numbers.")
    return loaded.astype(np.float64)


def batch_of(values: Float[np.ndarray, "row column"], request: Request, labels: Sequence[str], note: str) -> Batch:
    """Convert rows to a network's inputs.

    Rows for a network of images are in the units of the data set, from 0 to its `peak`, and are normalized like it.

    Raises:
        InputError: If the rows have another width, or a number is not finite or outside the units.
    """
    network, names = request.model, names_of(request.model)
    if values.shape[1] != len(names):
        raise InputError(
            f"The rows have {values.shape[1]} numbers; this model takes {len(names)}: {names[0]!r} to {names[-1]!r}."
        )
    name = network.card.data.name
    data: ImageData | None = data_set(name) if has_data_of(name, ImageData) else None
    low, high = (0, data.peak) if data else (-np.finfo(np.float32).max, np.finfo(np.float32).max)
    if (outside := ~((low <= values) & (values <= high))).any():
        row, column = np.argwhere(outside)[0]
        units = f"a number from 0 to {high}, as in {name}" if data else "a finite number"
        raise InputError(f"{names[column]!r} of {labels[row]} is {values[row, column]:g}. Give {units}.")
    if network.card.architecture == TABLE and not (np.sort(values)[:, ::-1] == np.eye(1, values.shape[1])).all():
        raise InputError("A row for a table of values is one state: a single 1 among zeros.")
    inputs = torch.from_numpy(values).float()
    return Batch(data.normalize(inputs / data.peak) if data else inputs, None, tuple(labels), note)


def show(network: Any, batch: Batch, row: int, hook: str) -> tuple[NumberView, ...]:
    """Show the numbers of a row with their names."""
    return (NumberView(batch.labels[row], tuple(names_of(network)), tuple(batch.inputs[row].tolist())),)


UPLOAD = Form("Use this file", (FileField("Or rows of numbers from a file", ("csv", "npy", "npz"), "rows"),))
TYPED = Form(
    "Use these numbers",
    (TextField("numbers", "Or one row of numbers", 20_000, 1, "Between commas; || separates rows."),),
    lambda values: f"numbers:{values['numbers']}" if values["numbers"] else "",
)
ROWS = MODALITIES.register("rows")(
    Modality(
        "rows",
        claims=takes_vectors,
        sources=(
            Source("rows", "rows:PATH.csv, .npy or .npz, or rows:PATH.csv:0:16", FileRows, read_file_rows,
                   lambda name: has_data_of(name, ImageData)),
            Source("numbers", "numbers:0.5,-1,2, several rows between ||", Vectors, read_numbers,
                   lambda name: has_data_of(name, ImageData)),
            Source("normal", "normal:SEED:N (rows from the standard normal distribution)", Draws, read_normal),
            Source("other", "other:SEED (as corrupted inputs: for each row one of another answer)", Seed,
                   read_other_rows, corrupts=True),
        ),
        presets=lambda model: (Preset("16 normal rows", "normal:0:16"), Preset("64 normal rows", "normal:0:64")),
        show=show,
        forms=lambda model: (UPLOAD, TYPED),
        gives_way=True,
    )
)  # fmt: skip
