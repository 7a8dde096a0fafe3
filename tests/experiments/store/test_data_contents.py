"""Tests of cached data sets and the hashes of their contents."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.core.registry import DATASETS
from workbench.experiments.store import data_contents
from workbench.experiments.store.data_contents import content_sha256, contents_sha256, data_set, forget


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    forget()
    return tmp_path


def test_a_data_set_stays_in_memory_and_its_hash_is_known_to_later_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_set("digits") is data_set("digits")
    known = contents_sha256("digits")
    forget()
    monkeypatch.setattr(data_contents, "read", lambda name: pytest.fail("it is known"))
    assert contents_sha256("digits") == known


def test_what_is_noted_holds_for_the_same_code_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    known = contents_sha256("digits")
    forget()
    monkeypatch.setattr(data_contents, "token", lambda function, names, paths: "other code")
    assert data_contents.valid_note("digits", DATASETS["digits"]) is None
    assert contents_sha256("digits") == known, "it was read again"


@pytest.mark.needs_data("tiny_shakespeare")
def test_a_file_that_was_asked_for_and_replaced_makes_it_be_read_again(
    own_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.data.files.storage import candidates

    original = candidates("tinyshakespeare.txt")[0]
    monkeypatch.setenv("WORKBENCH_DATA", str(own_runs))
    copy = own_runs / "tinyshakespeare.txt"
    copy.write_bytes(original.read_bytes())
    known, first = contents_sha256("tiny_shakespeare"), data_set("tiny_shakespeare")
    copy.unlink()
    copy.write_bytes(original.read_bytes())
    assert contents_sha256("tiny_shakespeare") == known and data_set("tiny_shakespeare") is not first


def test_rows_that_change_in_a_file_change_the_data_and_its_hash(
    own_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own_runs / "rows.npz"

    def rows() -> dict[str, torch.Tensor]:
        with np.load(path) as stored:
            return {"pixels": torch.from_numpy(stored["pixels"])}

    monkeypatch.setitem(DATASETS._items, "rows", rows)
    hashes = []
    for value in (1, 2, 1):
        np.savez(path, pixels=np.full((2, 2), value))
        assert data_set("rows")["pixels"].tolist() == [[value] * 2] * 2
        hashes.append(contents_sha256("rows"))
    assert hashes[0] == hashes[2] != hashes[1]


FACTOR = 1


def test_a_value_or_a_variable_that_a_data_set_reads_makes_it_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def rows() -> list[int]:
        reads.append(FACTOR * int(os.environ["ROWS"]))
        return [reads[-1]]

    monkeypatch.setitem(DATASETS._items, "rows", rows)
    expected = []
    for variable, factor, count in (("1", 1, 1), ("1", 1, 1), ("2", 1, 2), ("2", 3, 3)):
        monkeypatch.setenv("ROWS", variable)
        monkeypatch.setattr(sys.modules[__name__], "FACTOR", factor)
        assert contents_sha256("rows") == content_sha256(data_set("rows"))
        expected.append(int(variable) * factor)
        assert data_set("rows") == [expected[-1]] and len(set(reads)) == count


def test_another_data_set_under_the_same_name_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Callable[[], list[int]]] = [lambda: [1], lambda: [2]]
    for function, expected in zip(made, ([1], [2]), strict=True):
        monkeypatch.setitem(DATASETS._items, "numbers", function)
        assert data_set("numbers") == expected
        assert contents_sha256("numbers") == content_sha256(expected)


def test_a_folder_that_cannot_be_written_costs_another_reading_alone(own_runs: Path) -> None:
    (own_runs / "runs").write_text("a file, not a folder")
    assert contents_sha256("digits") == content_sha256(data_set("digits"))


@dataclass(frozen=True)
class Table:
    """A part of a data set."""

    rows: torch.Tensor
    names: tuple[str, ...]


def test_everything_that_is_held_changes_the_hash() -> None:
    def table(values: object = ((1, 2), (3, 4)), dtype: torch.dtype = torch.int64, names: object = ("a", "b")) -> Table:
        return Table(torch.tensor(values, dtype=dtype), tuple(names))

    other = [table(((1, 2), (3, 5))), table(((1, 2, 3, 4),)), table(dtype=torch.float32), table(names=("ab", "")),
             table(names=("b", "a")), {"rows": 1}, {"rows": 2}, {"row": 1}, [table()], None, True, 1, 1.0, "1", b"1",
             [], (), [1, [2]], [[1], 2], torch.ones(2, dtype=torch.bfloat16)]  # fmt: skip
    hashes = [content_sha256(value) for value in (table(), *other)]
    assert content_sha256(table()) == hashes[0] and len(set(hashes)) == len(hashes)
