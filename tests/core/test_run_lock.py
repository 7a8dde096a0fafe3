"""Tests of the run lock: threads take turns, and a possible deadlock raises an error."""

from __future__ import annotations

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.zoo.small import example, small
from workbench.core.errors import ThreadError
from workbench.core.interventions import zero
from workbench.core.run_lock import RunLock

ZERO = [zero("blocks.0.hook_post")]


def test_other_threads_inside_edits_raise_and_leave_the_model_usable() -> None:
    model = small("mlp")
    x = example(model)
    clean = model(x)
    with pytest.raises(ThreadError, match="deepcopy"), model.edited(ZERO), ThreadPoolExecutor(2) as pool:
        list(pool.map(model, [x, x]))
    assert torch.equal(model(x), clean)


def test_a_thread_that_its_own_hook_function_waits_for_raises() -> None:
    model = small("mlp")
    x = example(model)

    def ask_another_thread(activation: torch.Tensor) -> torch.Tensor:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(model.cache, x, "blocks.0.hook_pre").result()["blocks.0.hook_pre"]

    with pytest.raises(ThreadError), model.edited({"blocks.0.hook_post": ask_another_thread}):
        model(x)


def test_a_thread_waits_for_one_that_works_however_long() -> None:
    model, results = small("mlp"), []
    x = example(model)
    clean = model(x)
    other = threading.Thread(target=lambda: results.append(model(x)))
    with model.edited(ZERO):
        model(x)
        other.start()
        until = time.monotonic() + 1
        while time.monotonic() < until:
            sum(range(1000))
        assert not results
    other.join()
    assert torch.equal(results[0], clean)


def test_two_models_held_crosswise_do_not_hang() -> None:
    one, two = small("mlp"), copy.deepcopy(small("mlp"))
    x, met = example(one), threading.Barrier(2)

    def hold(first: object, second: object) -> object:
        with first.edited(ZERO):  # type: ignore[attr-defined]
            first(x)  # type: ignore[operator]
            met.wait()
            return second(x)  # type: ignore[operator]

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(hold, one, two), pool.submit(hold, two, one)]
        errors = [run.exception() for run in runs]
    assert any(isinstance(error, ThreadError) for error in errors)


def test_threads_that_each_edit_see_their_own_edits_only() -> None:
    model = small("mlp")
    x = example(model)
    truth = {}
    for unit in range(4):
        with model.edited([zero(f"blocks.0.hook_post[unit={unit}]")]):
            truth[unit] = model(x)

    def edit(unit: int) -> torch.Tensor:
        with model.edited([zero(f"blocks.0.hook_post[unit={unit}]")]):
            return model(x)

    with ThreadPoolExecutor(4) as pool:
        for unit, result in enumerate(pool.map(edit, [i % 4 for i in range(64)])):
            assert torch.equal(result, truth[unit % 4])


def test_the_holder_is_known_until_the_outermost_block_ends() -> None:
    lock, me = RunLock(), threading.get_ident()
    with lock:
        with lock:
            assert lock.holder == me
        assert lock.holder == me
    assert lock.holder is None
