"""Tests of stored results: round trips, damage, interruptions, full and read-only disks."""

import multiprocessing
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from tests.core.test_atomic import killed_while
from workbench.checkpoints.provenance import provenance
from workbench.core.errors import CheckpointError, ConfigError, InputError, UnknownNameError
from workbench.core.registry import ANALYSES
from workbench.experiments.store import results
from workbench.experiments.store.results import ResultStore


@dataclass(frozen=True)
class Ablation:
    """A result as an analysis gives it."""

    hook: str
    effect: Float[Tensor, "unit batch"]


SPEC = {"model": "digits_mlp", "analysis": "ablation", "params": {"hook": "hook_post"}, "seed": 0}
CLASSES = {"Ablation": Ablation}


def ablation(seed: int = 0, units: int = 4) -> Ablation:
    return Ablation("hook_post", torch.randn(units, 3, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "runs", classes=CLASSES)


def put(store: ResultStore, key: str, seed: int = 0) -> Ablation:
    return store.put(key, ablation(seed), SPEC | {"seed": seed}, provenance(0.5))


def test_a_result_comes_back_as_it_was_stored(store: ResultStore) -> None:
    put(store, "abc")
    result = ResultStore(store.folder, classes=CLASSES).get("abc")
    assert type(result) is Ablation and result.hook == "hook_post"
    assert torch.equal(result.effect, ablation().effect)


def test_the_catalog_lists_what_was_asked_and_how_it_was_made(store: ResultStore) -> None:
    assert len(store.catalog()) == 0
    put(store, "a")
    put(store, "b", seed=1)
    table = store.catalog()
    assert table["key"].tolist() == ["b", "a"]
    assert table["seed"].tolist() == [1, 0]
    assert table["params"][0] == {"hook": "hook_post"}
    assert {"result", "bytes", "model", "analysis", "version", "commit", "time", "seconds", "torch"} <= set(
        table.columns
    )


def test_the_file_alone_says_what_it_is(store: ResultStore) -> None:
    put(store, "abc")
    about, tensors = store.read("abc")
    assert about["spec"] == SPEC and about["result"] == "Ablation" and about["provenance"]["seconds"] == 0.5
    assert list(tensors) == ["effect"]


def test_storing_marks_the_run_as_done_in_the_same_commit(store: ResultStore) -> None:
    store.start("abc", SPEC)
    put(store, "abc")
    assert store.runs()["status"].tolist() == ["done"]


def test_a_result_never_changes_once_it_is_stored(store: ResultStore) -> None:
    put(store, "abc", seed=0)
    before = store.path("abc").read_bytes()
    stored = put(store, "abc", seed=1)
    assert store.path("abc").read_bytes() == before and len(store.catalog()) == 1
    assert torch.equal(stored.effect, ablation(0).effect)


def test_a_deleted_result_is_gone_with_its_file_and_may_be_stored_anew(store: ResultStore) -> None:
    put(store, "abc")
    store.delete("abc")
    assert not store.has("abc") and not store.path("abc").exists() and len(store.catalog()) == 0
    put(store, "abc", seed=1)
    assert torch.equal(store.get("abc").effect, ablation(1).effect)


@pytest.mark.parametrize("call", ["get", "delete"])
def test_an_unknown_result_is_an_error_that_offers_the_nearest(store: ResultStore, call: str) -> None:
    put(store, "abc123")
    with pytest.raises(UnknownNameError, match=r"stored result named 'abc124'.*Did you mean 'abc123'"):
        getattr(store, call)("abc124")


@pytest.mark.parametrize("key", ["../a", "a/b", "", "..", "a\0"])
def test_a_key_stays_inside_the_folder(store: ResultStore, key: str) -> None:
    for use in (store.get, store.has, store.delete, lambda k: put(store, k)):
        with pytest.raises(InputError, match="cannot be the key"):
            use(key)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_is_noticed(store: ResultStore, data: st.DataObject) -> None:
    put(store, "abc")
    whole = store.path("abc").read_bytes()
    altered = bytearray(whole)
    altered[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    store.path("abc").write_bytes(bytes(altered))
    assert not store.has("abc")
    with pytest.raises(CheckpointError, match="Delete the result and run it again"):
        store.get("abc")
    store.path("abc").write_bytes(whole)
    assert store.has("abc")


def test_a_result_cut_short_or_lost_is_not_listed_and_may_be_stored_anew(store: ResultStore) -> None:
    for spoil in (lambda p: p.write_bytes(p.read_bytes()[:-1]), Path.unlink):
        put(store, "abc")
        spoil(store.path("abc"))
        assert not store.has("abc") and len(store.catalog()) == 0
        with pytest.raises(CheckpointError, match="missing, cut short or altered"):
            store.get("abc")
        put(store, "abc")
        assert store.has("abc")


def test_a_file_that_nobody_listed_is_no_result(store: ResultStore) -> None:
    put(store, "abc")
    shutil.copy(store.path("abc"), store.path("copy"))
    assert not store.has("copy") and store.catalog()["key"].tolist() == ["abc"]


def test_only_registered_kinds_of_results_are_made_from_files(store: ResultStore) -> None:
    put(store, "abc")
    with pytest.raises(UnknownNameError, match=r"kind of result named 'Ablation'.*Did you mean 'Ablations'"):
        ResultStore(store.folder, classes={"Ablations": Ablation}).get("abc")


def test_the_kinds_of_results_are_those_analyses_say_they_return(monkeypatch: pytest.MonkeyPatch) -> None:
    def analyse() -> Ablation:
        return ablation()

    def careless() -> dict:
        return {}

    monkeypatch.setattr(ANALYSES, "_discovered", True)
    monkeypatch.setattr(ANALYSES, "_items", {"ablation": analyse})
    assert results.result_classes() == CLASSES
    monkeypatch.setattr(ANALYSES, "_items", {"careless": careless})
    with pytest.raises(ConfigError, match="'careless' must be annotated to return a dataclass"):
        results.result_classes()


def test_a_result_that_could_not_be_read_back_is_refused_at_once(store: ResultStore) -> None:
    @dataclass(frozen=True)
    class Odd:
        values: list[int]

    with pytest.raises(ConfigError, match=r"Odd\.values\[0\] should be int"):
        store.put("abc", Odd(["text"]), SPEC, {})  # type: ignore[list-item]
    assert not store.has("abc") and len(store.catalog()) == 0


def store_at_the_same_moment(folder: Path, barrier: Barrier, seed: int) -> None:
    store = ResultStore(folder, classes=CLASSES)
    for trial in range(8):
        barrier.wait()
        put(store, f"key{trial}", seed)


def test_two_processes_that_store_one_result_at_the_same_moment_both_succeed(store: ResultStore) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    writers = [context.Process(target=store_at_the_same_moment, args=(store.folder, barrier, s)) for s in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sorted(store.catalog()["key"]) == [f"key{trial}" for trial in range(8)]
    outcomes = [ablation(seed).effect for seed in range(2)]
    for trial in range(8):
        assert store.has(f"key{trial}")
        assert any(torch.equal(store.get(f"key{trial}").effect, outcome) for outcome in outcomes)


def test_killed_at_any_moment_every_listed_result_is_whole(store: ResultStore) -> None:
    store.put("first", ablation(), SPEC, {"i": -1})
    numbers = count()

    def store_another() -> None:
        i = next(numbers)
        store.put(f"{os.getpid()}-{i}", ablation(i, units=5_000), SPEC, {"i": i})

    for trial in range(15):
        killed_while(store_another, random.Random(trial).uniform(0.0, 0.04))
        table = ResultStore(store.folder, classes=CLASSES).catalog()
        assert table["key"].iloc[-1] == "first" and len(table) > 1
        for key, i in zip(table["key"][:-1], table["i"][:-1], strict=True):
            assert store.has(key)
            assert torch.equal(store.get(key).effect, ablation(int(i), units=5_000).effect)
            store.delete(key)
    put(store, "last")
    assert not list((store.folder / "results").glob(".*")), "what killed writers left behind is swept"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk is not permitted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_on_a_full_disk_nothing_stored_is_lost(small_disk: Path) -> None:
    store = ResultStore(small_disk / "runs", classes=CLASSES)
    put(store, "abc")
    with pytest.raises(CheckpointError, match=r"MB are needed and .* MB are free"):
        store.put("large", ablation(units=200_000), SPEC, {})
    assert not store.has("large") and store.catalog()["key"].tolist() == ["abc"]
    (small_disk / "filler").write_bytes(bytes(store.path("abc").stat().st_size))
    assert torch.equal(store.get("abc").effect, ablation().effect)


def test_a_read_only_folder_is_one_clear_error(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(CheckpointError, match="is read-only"):
        put(ResultStore(small_disk / "runs", classes=CLASSES), "abc")


def test_a_store_that_became_read_only_can_still_be_read(small_disk: Path) -> None:
    store = ResultStore(small_disk / "runs", classes=CLASSES)
    put(store, "abc")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert torch.equal(store.get("abc").effect, ablation().effect)
    with pytest.raises(CheckpointError, match="is read-only"):
        put(store, "other")
