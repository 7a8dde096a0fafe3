"""Long work beside the page: a thread for each question, with progress, time left and a way to stop it."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
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
"""Jobs remembered after they ended, and the bytes that their results may take together."""
PATIENCE = 0.7
"""Seconds a page waits for a result before it shows progress instead."""
ABANDONED = 90.0
"""Seconds without a page that waits, after which work that nobody started on purpose stops. A tab in the background
looks once a minute."""


@st.cache_resource(max_entries=1, show_spinner=False)
def warm_up() -> threading.Thread:
    """The thread that imports the heavy libraries, started when the server is."""
    thread = threading.Thread(target=import_library, name="warm-up", daemon=True)
    thread.start()
    return thread


def import_library() -> None:
    """Everything a page may need: the techniques, the models, the figures."""
    from workbench.core.registry import ANALYSES, MODELS, VIEWS

    ANALYSES.discover()
    MODELS.discover()
    VIEWS.discover()
    for name in ("sklearn.datasets", "workbench.experiments.run"):  # the bundled digits need the first
        import_module(name)


def wait_for_library() -> None:
    """Returns once the heavy libraries are imported: two threads importing them at once could meet half-made ones."""
    thread = warm_up()
    if thread.is_alive():
        with st.spinner("Loading the library, once after the start"):
            thread.join()


@dataclass(eq=False)
class Job:
    """Work under way for one or more pages. `cancel` asks it to stop at its next report of progress.

    Work that is not `lasting` stops once no page has waited for it for `ABANDONED` seconds.
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
        """Progress of the work; raises once somebody asked it to stop, or nobody waits for it."""
        self.done, self.total = done, total
        if not self.lasting and time.monotonic() - self.looked > ABANDONED:
            self.stop()
        if self.cancel.is_set():
            raise Cancelled(f"Cancelled after {done} of {total} steps; nothing of it was stored.")

    def stop(self) -> None:
        """Stop the work because nobody waits for it; whoever asks again starts it anew."""
        self.abandoned = True
        self.cancel.set()

    def run(self) -> Any:
        """Do the work; called in the job's thread."""
        self.report(0, 0)
        self.started = time.monotonic()
        return self.work(self.report)

    def ends_within(self, patience: float) -> bool:
        """Wait for the end of the work, so many seconds at most."""
        end = time.monotonic() + patience
        while self.running and (left := end - time.monotonic()) > 0:
            self.looked = time.monotonic()
            wait_for([self.future], timeout=min(1.0, left))
        return not self.running

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
            return f"{self.title}: starting, {spent:.0f} s"
        left = spent * (self.total - self.done) / self.done
        return f"{self.title}: {self.done:,} of {self.total:,}, about {left:.0f} s left"


class Board:
    """The jobs of this process by key; the same work is done once, whoever asks for it.

    Work that lasts and work that pages wait for have threads of their own.
    """

    def __init__(self) -> None:
        self.jobs: OrderedDict[str, Job] = OrderedDict()
        self.lock = threading.Lock()
        self.pools = {lasting: ThreadPoolExecutor(2, thread_name_prefix="job") for lasting in (False, True)}

    def ask(self, key: str, title: str, work: Callable[[Progress], Any], lasting: bool = False) -> Job:
        """The job of that key, started now if there is none."""
        with self.lock:
            job = self.jobs.get(key)
            if job is None or job.abandoned:
                job = self.jobs[key] = Job(key, title, work, lasting)
                job.future = self.pools[lasting].submit(job.run)
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
        """The job with that key, if there is one that nobody gave up."""
        job = self.jobs.get(key)
        return None if job is None or job.abandoned else job

    def forget(self, key: str) -> None:
        """Lets the question be answered anew."""
        with self.lock:
            self.jobs.pop(key, None)

    def running(self) -> list[Job]:
        """Jobs that wait or work."""
        return [job for job in list(self.jobs.values()) if job.running]

    def leave(self, reader: str, keys: Iterable[str]) -> None:
        """Note that a reader waits for these jobs no more; work that nobody waits for and that was not started by
        hand stops."""
        for job in filter(None, map(self.find, keys)):
            job.readers.discard(reader)
            if job.running and not job.readers and not job.lasting:
                job.stop()


def weight(value: Any) -> int:
    """The bytes of the arrays in a result."""
    if isinstance(size := getattr(value, "nbytes", None), int):
        return size
    if isinstance(value, dict):
        return sum(map(weight, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(weight, value)) if not all(isinstance(entry, str) for entry in value) else 0
    return sum(map(weight, vars(value).values())) if hasattr(value, "__dataclass_fields__") else 0


@st.cache_resource(max_entries=1, show_spinner=False)
def board() -> Board:
    """The one board of this process."""
    return Board()


def reader_id() -> str:
    """A name for this session."""
    return st.session_state.setdefault("reader", secrets.token_hex(8))


def leave_page() -> None:
    """Stop what only this reader waited for on the page before."""
    board().leave(reader_id(), st.session_state.pop("slots", {}).values())


def result_of(spec: Spec, slot: str = "", patience: float | None = None, lasting: bool = False) -> Any:
    """The result of a question, or None while the page shows its progress instead.

    `slot` is the place on the page that asks: a new question there stops the one before it. `lasting` work goes on
    when the page is closed.
    """

    from workbench.experiments.inputs.kept_pictures import require_kept

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
    """The result of some work, or None while the page shows its progress instead."""
    job = board().ask(key, title, work, lasting)
    replace_in_slot(slot, job)
    if not job.ends_within(PATIENCE if patience is None else patience):
        watch(job.key)
        return None
    try:
        return job.future.result()
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
    """Stops the question that this reader asked here before, when it was another one that nobody else waits for."""
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
    """Progress of a job with time left and Cancel; the page is drawn again when it ends."""
    job = board().find(key)
    if job is None or not job.running:
        st.rerun()
    job.looked = time.monotonic()
    st.progress(job.share, text=escape(job.text))
    if st.button("Cancel", key=f"cancel {key}", icon=":material/cancel:"):
        job.cancel.set()


def result_on_request(spec: Spec, cost: str, go: str = "go") -> Any:
    """Like `result_of` for work that takes long: stored results come at once, others after a press on Run.

    The press is in the link (under the name `go`), so that it starts the same run wherever it is opened.
    """
    from workbench.experiments.inputs.kept_pictures import require_kept
    from workbench.experiments.store.results import ResultStore

    require_kept(spec.inputs, spec.corrupted)
    key = spec.key
    pressed = address.requested(go) == key[:12]
    if pressed or board().find(key) is not None or ResultStore().has(key):
        address.remember(go, key[:12])
        return result_of(spec, lasting=pressed)
    st.info(f"Not computed yet. {prose(cost)}", icon=":material/play_circle:")
    if st.button("Run", type="primary", key=f"run {key}", icon=":material/play_arrow:"):
        address.put(go, key[:12])
        st.rerun()
    return None
