"""Fuzz commands, calls, files and links, and check that each gives an answer or a short error in time.

Every case runs in a process that is replaced when it dies. Work that is accepted is stopped at its first report of
progress, so that what is tried is how the workbench reads what it is given. What goes wrong is written to stderr.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch

from tests.bench.harness import Figure

SIZE = 10_000
SHARES = {"cli": 0.45, "api": 0.35, "toml": 0.17, "url": 0.03}
"""Of all cases; a link costs a whole page."""
ROOM = 6 * 2**30
"""Bytes of address space beyond those at the start; a case that takes them dies by a MemoryError."""
SILENCE = 90.0
"""Seconds after which a process that says nothing is stopped."""


def figures(size: int) -> Iterator[Figure]:
    """Print the number of cases of each class, and how many went wrong in each way."""
    os.environ["WORKBENCH_RUNS"] = tempfile.mkdtemp(prefix="fuzz-runs-")
    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "80"}
    from tests.fuzz.cases import warm

    warm()
    for name, share in SHARES.items():
        found = Counter(kind for kind in tried(name, range(max(1, round(size * share)))))
        yield Figure(f"fuzz.{name}.cases", found.total(), "cases")
        yield Figure(f"fuzz.{name}.refused", found["refused"], "cases")
        for kind, label in (("traceback", "tracebacks"), ("hang", "hangs"), ("memory", "over_memory")):
            yield Figure(f"fuzz.{name}.{label}", found[kind], "cases", target="== 0")


def tried(name: str, cases: range) -> Iterator[str]:
    """What became of each case of a class."""
    left = list(cases)
    context = multiprocessing.get_context("fork")
    while left:
        receiving, sending = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(name, left, sending), daemon=True)
        worker.start()
        sending.close()
        done = 0
        try:
            while done < len(left) and receiving.poll(SILENCE):
                kind, what, detail = receiving.recv()
                yield report(name, left[done], kind, what, detail)
                done += 1
        except EOFError:
            pass
        worker.join(0.2 if done == len(left) else 0.0)
        killed = worker.exitcode is None
        worker.kill()
        worker.join()
        if done < len(left):
            kind = "hang" if killed else "traceback"
            yield report(name, left[done], kind, "", f"the process ended with {worker.exitcode}")
            done += 1
        left = left[done:]


def report(name: str, case: int, kind: str, what: str, detail: str) -> str:
    """Write what went wrong, and give back its kind."""
    if kind not in ("done", "refused"):
        sys.stderr.write(f"{kind} in {name} {case}: {what}\n{detail}\n")
    return kind


def work(name: str, cases: list[int], results: Any) -> None:
    """Run cases one after the other in a process of their own."""
    from tests.fuzz.cases import MAKERS, confined
    from tests.fuzz.watch import judge

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    limit = ROOM + int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    with confined(folder):
        for case in cases:
            what, run, refusals = MAKERS[name](Random(f"{name} {case}"), folder)
            outcome = judge(run, refusals)
            torch.set_num_threads(1)
            results.send((outcome.kind, what, outcome.detail))
    shutil.rmtree(folder, ignore_errors=True)
