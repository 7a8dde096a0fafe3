"""Background jobs with progress, remaining time and cancellation, shared by pages that ask the same question."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.state import address
from app.text.errors import show
from app.text.escaping import escape, prose
from workbench.core.errors import Cancelled
from workbench.core.progress import Progress

if TYPE_CHECKING:
    from workbench.experiments.questions.spec import Spec

KEPT, ROOM = 48, 600_000_000
"""Maximum number of finished jobs kept, and the total bytes of their results."""
PATIENCE = 0.7
"""Seconds that a page waits for a result before it shows progress."""
ABANDONED = 90.0
"""Seconds after which a job that no page polls is stopped, unless it was started with Run. Browsers throttle
background tabs to one poll a minute.
"""


@st.cache_resource(max_entries=1, show_spinner=False)
def warm_up() -> threading.Thread:
    """Return the thread that imports the heavy libraries; the first call starts it."""
    thread = threading.Thread(target=import_library, name="warm-up", daemon=True)
    thread.start()
    return thread


def import_library() -> None:
    """Import techniques, architectures and figures."""
    from workbench.core.registry import ANALYSES, MODELS, VIEWS

    ANALYSES.discover()
    MODELS.discover()
    VIEWS.discover()
    for name in ("sklearn.datasets", "workbench.experiments.run"):  # the bundled digits need the first
        import_module(name)


def wait_for_library() -> None:
    """Wait until the heavy libraries are imported. Importing them in two threads can expose half-initialised
    modules.
    """
    thread = warm_up()
    if thread.is_alive():
        with st.spinner("Loading the library, once after the start"):
            thread.join()


@dataclass(eq=False)
class Job:
    """Job shared by one or more pages.

    `cancel` stops it at its next progress report. A job that is not `lasting` also stops if no page has polled it for
    `ABANDONED` seconds.
    """

    key: str
    title: str
    work: Callable[[Progress], Any]
    lasting: bool = False
    started: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)
    readers: set[str] = field(default_factory=set)
    cancel: threading.Event = field(default_factory=threading.Event)
    abandoned: bool = False
    done: int = 0
    total: int = 0
    future: Future[Any] = field(default_factory=Future)

    def report(self, done: int, total: int) -> None:
        """Record progress; raises `Cancelled` if the job was cancelled or abandoned."""
        self.done, self.total = done, total
        if not self.lasting and time.monotonic() - self.looked > ABANDONED:
            self.stop()
        if self.cancel.is_set():
            raise Cancelled(f"Cancelled after {done} of {total} steps; nothing was stored.")

    def stop(self) -> None:
        """Stop the job because no page waits for it; the next request starts it again."""
        self.abandoned = True
        self.cancel.set()

    def run(self) -> Any:
        """Do the work. Called in the job's thread."""
        self.report(0, 0)
        self.started = time.monotonic()
        return self.work(self.report)

    def ends_within(self, patience: float) -> bool:
        """Wait at most `patience` seconds; returns True if the job has ended."""
        end = time.monotonic() + patience
        while self.running and (left := end - time.monotonic()) > 0:
            self.looked = time.monotonic()
            wait_for([self.future], timeout=min(1.0, left))
        return not self.running

    @property
    def running(self) -> bool:
        """Return True if the job is queued or running."""
        return not self.future.done()

    @property
    def share(self) -> float:
        """Return the completed fraction."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def text(self) -> str:
        """Return progress and the estimated remaining time in words."""
        spent = time.monotonic() - self.started
        if not self.done:
            return f"{self.title}: starting, {spent:.0f} s"
        left = spent * (self.total - self.done) / self.done
        return f"{self.title}: {self.done:,} of {self.total:,}, about {left:.0f} s left"


class Board:
    """Jobs of this process by key; equal requests share one job.

    Two lasting jobs and two others run at a time.
    """

    def __init__(self) -> None:
        self.jobs: OrderedDict[str, Job] = OrderedDict()
        self.lock = threading.Lock()
        self.slots = {lasting: threading.Semaphore(2) for lasting in (False, True)}

    def _work(self, job: Job, slot: threading.Semaphore) -> None:
        with slot:
            try:
                job.future.set_result(job.run())
            except BaseException as error:
                job.future.set_exception(error)

    def ask(self, key: str, title: str, work: Callable[[Progress], Any], lasting: bool = False) -> Job:
        """Return the job with this key, starting it if there is none."""
        with self.lock:
            job = self.jobs.get(key)
            if job is None or job.abandoned:
                job = self.jobs[key] = Job(key, title, work, lasting)
                # A daemon, because a server that ends would wait for the threads of a pool.
                threading.Thread(target=self._work, args=(job, self.slots[lasting]), name="job", daemon=True).start()
            job.lasting |= lasting
            self.jobs.move_to_end(key)
            self._forget_old()
        return job

    def _forget_old(self) -> None:
        taken = kept = 0
        for key, job in reversed(list(self.jobs.items())):
            if job.running:
                continue
            kept += 1
            taken += 0 if job.future.cancelled() or job.future.exception() else weight(job.future.result())
            if kept > KEPT or (taken > ROOM and kept > 1):
                del self.jobs[key]

    def find(self, key: str) -> Job | None:
        """Return the job with this key, or None if there is none or it was abandoned."""
        job = self.jobs.get(key)
        return None if job is None or job.abandoned else job

    def forget(self, key: str) -> None:
        """Drop a job, so that the next request computes it again."""
        with self.lock:
            self.jobs.pop(key, None)

    def running(self) -> list[Job]:
        """Return the jobs that are queued or running."""
        return [job for job in list(self.jobs.values()) if job.running]

    def leave(self, reader: str, keys: Iterable[str]) -> None:
        """Remove a session from these jobs, and stop those that are not lasting and that no other session waits
        for.
        """
        for job in filter(None, map(self.find, keys)):
            job.readers.discard(reader)
            if job.running and not job.readers and not job.lasting:
                job.stop()


def weight(value: Any) -> int:
    """Return the bytes of the arrays in a result."""
    if isinstance(size := getattr(value, "nbytes", None), int):
        return size
    if isinstance(value, dict):
        return sum(map(weight, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(weight, value)) if not all(isinstance(entry, str) for entry in value) else 0
    return sum(map(weight, vars(value).values())) if hasattr(value, "__dataclass_fields__") else 0


@st.cache_resource(max_entries=1, show_spinner=False)
def board() -> Board:
    """Return the board of this process."""
    return Board()


def reader_id() -> str:
    """Return an identifier of this session."""
    return st.session_state.setdefault("reader", secrets.token_hex(8))


def leave_page() -> None:
    """Leave the jobs of the previous page."""
    board().leave(reader_id(), st.session_state.pop("slots", {}).values())


def result_of(spec: Spec, slot: str = "", patience: float | None = None, lasting: bool = False) -> Any:
    """Return the result of a question, or show progress and return None.

    `slot` is a place on the page; a new question in a slot stops the previous one. `lasting` jobs survive the page.
    """

    from workbench.experiments.inputs.kept_files import require_kept

    def work(report: Progress) -> Any:
        from workbench.experiments.run import run

        return run(spec, report)

    require_kept(spec.inputs, spec.corrupted)
    title = f"{spec.analysis} of {spec.model}"
    return result(spec.key, title, work, slot or spec.analysis, patience, lasting)


def result(
    key: str,
    title: str,
    work: Callable[[Progress], Any],
    slot: str,
    patience: float | None = None,
    lasting: bool = False,
) -> Any:
    """Return the result of `work`, or show progress and return None."""
    job = board().ask(key, title, work, lasting)
    replace_in_slot(slot, job)
    if not job.ends_within(PATIENCE if patience is None else patience):
        address.current().waiting = True
        watch(job.key)
        return None
    try:
        return job.future.result()
    except Cancelled as stopped:
        address.current().waiting = True
        show(stopped)
        if st.button("Run again", key=f"again {job.key}", icon=":material/replay:"):
            board().forget(job.key)
            st.rerun()
    except BaseException:
        board().forget(job.key)
        raise
    return None


def replace_in_slot(slot: str, job: Job) -> None:
    """Stop the previous job of this slot if it differs and no other session waits for it."""
    slots = st.session_state.setdefault("slots", {})
    job.readers.add(reader_id())
    earlier = board().find(slots.get(slot, ""))
    if earlier is not None and earlier is not job:
        earlier.readers.discard(reader_id())
        if earlier.running and not earlier.readers:
            earlier.stop()
    slots[slot] = job.key


@st.fragment(run_every=1.0)
def watch(key: str) -> None:
    """Show progress, remaining time and Cancel; reruns the page when the job ends."""
    job = board().find(key)
    if job is None or not job.running:
        st.rerun()
    job.looked = time.monotonic()
    st.progress(job.share, text=escape(job.text))
    if st.button("Cancel", key=f"cancel {key}", icon=":material/cancel:"):
        job.cancel.set()


def result_on_request(spec: Spec, cost: str, go: str = "go") -> Any:
    """Return a stored result, or compute one after Run is pressed.

    The press is part of the link (as `go`), so that the link starts the same run.
    """
    from workbench.experiments.inputs.kept_files import require_kept
    from workbench.experiments.store.results import ResultStore

    require_kept(spec.inputs, spec.corrupted)
    key = spec.key
    pressed = address.requested(go) == key[:12]
    if pressed or board().find(key) is not None or ResultStore().has(key):
        address.remember(go, key[:12])
        return result_of(spec, lasting=pressed)
    address.current().waiting = True
    st.info(f"Not computed yet. {prose(cost)}", icon=":material/play_circle:")
    if st.button("Run", type="primary", key=f"run {key}", icon=":material/play_arrow:"):
        address.put(go, key[:12])
        st.rerun()
    return None
