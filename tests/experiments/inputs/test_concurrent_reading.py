"""Tests of reading inputs beside other work: free model lock, progress, cancellation and memory limit."""

from __future__ import annotations

import threading

import pytest

from workbench.core.errors import Cancelled, InputError
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.questions.budget import Budget
from workbench.experiments.questions.spec import Spec
from workbench.experiments.run import loaded, run, run_analysis


@pytest.mark.parametrize("inputs", ["explored:0:40", "rollout:3:40", "rollout:3:0:5"])
def test_the_lock_is_free_while_states_are_read(inputs: str) -> None:
    model, free = loaded("cartpole_ppo"), []

    def look(done: int, total: int) -> None:
        def take() -> None:
            free.append(model.lock.plain.acquire(blocking=False))
            model.lock.plain.release()

        other = threading.Thread(target=take)
        other.start()
        other.join()

    read_inputs(inputs, model, progress=look)
    assert len(free) >= 5 and all(free)


@pytest.mark.parametrize("inputs", ["explored:0:4000", "rollout:0:4000", "train:0:"])
def test_reading_stops_where_it_is_cancelled_and_leaves_the_lock(inputs: str) -> None:
    name = "tales_gpt" if inputs.startswith("train") else "cartpole_ppo"
    reports = 0

    def stop(done: int, total: int) -> None:
        nonlocal reports
        reports += 1
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run(Spec(name, "statistics", inputs), stop)
    assert reports == 1
    assert loaded(name).lock.plain.acquire(blocking=False)
    loaded(name).lock.plain.release()


def test_progress_says_how_many_states_are_read() -> None:
    seen: list[tuple[int, int]] = []
    read_inputs("explored:0:30", loaded("cartpole_ppo"), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 30) for done in range(1, 30)]
    seen.clear()
    read_inputs("rollout:0:700", loaded("cartpole_ppo"), progress=lambda done, total: seen.append((done, total)))
    assert seen == [*((done, 700) for done in range(700)), *[(700, 700)] * (len(seen) - 700)]


def test_a_job_that_waits_for_the_model_can_be_cancelled() -> None:
    model, held, release = loaded("digits_mlp"), threading.Event(), threading.Event()

    def hold() -> None:
        with model.lock:
            held.set()
            while not release.is_set():
                sum(range(1000))

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)

    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    try:
        with pytest.raises(Cancelled):
            run(Spec("digits_mlp", "statistics", "test:7:9"), stop)
    finally:
        release.set()
        holder.join()


def test_activations_that_would_fill_the_memory_are_refused_before_they_are_made() -> None:
    with pytest.raises(InputError, match=r"the activations of digits_mlp on 'test:0:300': [\d,]+ bytes are too many"):
        run_analysis("activations", "digits_mlp", "test:0:300", hook="blocks.0.hook_post", budget=Budget(bytes=30_000))
    with pytest.raises(InputError, match="bytes are too many"):
        run_analysis("statistics", "digits_mlp", "test:0:301", budget=Budget(bytes=200_000))
    assert len(run_analysis("activations", "digits_mlp", "test:0:300", hook="hook_input").values) == 300
