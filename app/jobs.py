"""Long work beside the page: a thread for each question, with progress, time left and a way to stop it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import address
from app.errors import show
from workbench.core.errors import Cancelled

if TYPE_CHECKING:
    from workbench.experiments.spec import Spec

KEPT = 48
"""Jobs remembered after they ended, with their results."""
PATIENCE = 0.7
"""Seconds a page waits for a result before it shows progress instead."""


@st.cache_resource(max_entries=1, show_spinner=False)
def warm_up() -> threading.Thread:
    """The thread that imports the heavy libraries, started when the server is."""
    thread = threading.Thread(target=import_library, name="warm-up", daemon=True)
    thread.start()
    return thread


def import_library() -> None:
    """Everything a page may need: the techniques, the models, the figures."""
    from workbench.core.registry import ANALYSES, MODELS

    ANALYSES.discover()
    MODELS.discover()
    for name in ("sklearn.datasets", "workbench.experiments.run"):  # the bundled digits need the first
        import_module(name)
    from workbench.figures.by_result import load_all

    load_all()


def wait_for_library() -> None:
    """Returns once the heavy libraries are imported: two threads importing them at once could meet half-made ones."""
    thread = warm_up()
    if thread.is_alive():
        with st.spinner("Loading the library, once after the start"):
            thread.join()


@dataclass(eq=False)
class Job:
    """One question being answered. `cancel` asks it to stop at its next report of progress."""

    spec: Spec
    key: str
    started: float = field(default_factory=time.monotonic)
    cancel: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    total: int = 0
    future: Future[Any] = field(default_factory=Future)

    def report(self, done: int, total: int) -> None:
        """Progress of the work; raises once somebody asked it to stop."""
        self.done, self.total = done, total
        if self.cancel.is_set():
            raise Cancelled(f"Cancelled after {done} of {total} steps; nothing of it was stored.")

    @property
    def running(self) -> bool:
        """Whether it still waits or works."""
        return not self.future.done()

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def text(self) -> str:
        """How far it is, and for how long it will go on at this speed."""
        spent = time.monotonic() - self.started
        if not self.done:
            return f"{self.spec.analysis} of {self.spec.model}: starting, {spent:.0f} s"
        left = spent * (self.total - self.done) / self.done
        return f"{self.spec.analysis} of {self.spec.model}: {self.done:,} of {self.total:,}, about {left:.0f} s left"


class Board:
    """The jobs of this process by key; the same question is asked once, whoever asks it."""

    def __init__(self) -> None:
        self.jobs: OrderedDict[str, Job] = OrderedDict()
        self.lock = threading.Lock()
        self.pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="job")

    def ask(self, spec: Spec) -> Job:
        """The job that answers `spec`, started now if there is none."""
        key = spec.key
        with self.lock:
            job = self.jobs.get(key)
            if job is None:
                job = self.jobs[key] = Job(spec, key)
                job.future = self.pool.submit(answer, job)
            self.jobs.move_to_end(key)
            self._forget_old()
        return job

    def _forget_old(self) -> None:
        ended = [key for key, job in self.jobs.items() if not job.running]
        for key in ended[: max(0, len(self.jobs) - KEPT)]:
            del self.jobs[key]

    def find(self, key: str) -> Job | None:
        """The job with that key, if there is one."""
        return self.jobs.get(key)

    def forget(self, key: str) -> None:
        """Lets the question be answered anew."""
        with self.lock:
            self.jobs.pop(key, None)

    def running(self) -> list[Job]:
        """Jobs that wait or work."""
        return [job for job in list(self.jobs.values()) if job.running]


def answer(job: Job) -> Any:
    """The stored or computed result; runs in the job's thread."""
    from workbench.experiments.run import run

    job.report(0, 0)
    job.started = time.monotonic()
    return run(job.spec, job.report)


@st.cache_resource(max_entries=1, show_spinner=False)
def board() -> Board:
    """The one board of this process."""
    return Board()


def result_of(spec: Spec, slot: str = "", patience: float | None = None) -> Any:
    """The result of a question, or None while the page shows its progress instead.

    `slot` is the place on the page that asks: a new question there stops the one before it.
    """
    job = board().ask(spec)
    replace_in_slot(slot or spec.analysis, job)
    try:
        return job.future.result(timeout=PATIENCE if patience is None else patience)
    except StillRunning:
        watch(job.key)
    except Cancelled as stopped:
        show(stopped)
        if st.button("Run again", key=f"again {job.key}", icon=":material/replay:"):
            board().forget(job.key)
            st.rerun()
    except BaseException:
        board().forget(job.key)
        raise
    return None


def replace_in_slot(slot: str, job: Job) -> None:
    """Stops the question that this reader asked here before, when it was another one."""
    slots = st.session_state.setdefault("slots", {})
    earlier = board().find(slots.get(slot, ""))
    if earlier is not None and earlier is not job and earlier.running:
        earlier.cancel.set()
        board().forget(earlier.key)
    slots[slot] = job.key


@st.fragment(run_every=1.0)
def watch(key: str) -> None:
    """Progress of a job with time left and Cancel; the page is drawn again when it ends."""
    job = board().find(key)
    if job is None or not job.running:
        st.rerun()
    st.progress(job.share, text=job.text)
    if st.button("Cancel", key=f"cancel {key}", icon=":material/cancel:"):
        job.cancel.set()


def offered(spec: Spec, cost: str, go: str = "go") -> Any:
    """Like `result_of` for work that takes long: stored results come at once, others after a press on Run.

    The press is in the link (under the name `go`), so that it starts the same run wherever it is opened.
    """
    from workbench.experiments.store import ResultStore

    key = spec.key
    pressed = st.query_params.get(go)
    if pressed is not None and pressed != key[:12]:
        del st.query_params[go]  # it asked another question
    if pressed == key[:12] or board().find(key) is not None or ResultStore().has(key):
        address.remember(go, key[:12])
        return result_of(spec)
    st.info(f"Not computed yet. {cost}", icon=":material/play_circle:")
    if st.button("Run", type="primary", key=f"run {key}", icon=":material/play_arrow:"):
        st.query_params[go] = key[:12]
        st.rerun()
    return None
