"""Run tests on a changed module without touching its file, in a process forked from one with the libraries loaded."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
TESTS = ("tests/core", "tests/zoo", "tests/analysis", "tests/ground_truth")
"""Tests that may notice a mutant."""
LIBRARIES = (
    "torch",
    "transformer_lens",
    "einops",
    "scipy.stats",
    "sklearn",
    "pandas",
    "plotly.graph_objects",
    "hypothesis",
)
FIRST, MOST, AT_ONCE = 8, 150, 2
"""Tests tried on a mutant before the files of the others are read, tests tried in all, and mutants tried at once."""
DATACLASSES = "tests/core/test_frozen.py::test_every_dataclass_is_frozen"
SECONDS, WALL = 120, 900
"""A mutant whose tests take so many seconds of processor time, or of the clock, is killed: it does not end."""
CACHE = Path(tempfile.gettempdir()) / "workbench-mutants"

KILLERS = CACHE / "killers"
"""The test that noticed each mutant last time, which is tried first."""


@dataclass(frozen=True)
class Work:
    """A mutant to try: its name, the file to change, the file's new text, and the tests to run."""

    name: str
    file: str
    code: str
    tests: Sequence[str]

    @property
    def stages(self) -> Iterator[list[str]]:
        """The test that noticed the mutant last time, the nearest tests, and the others."""
        known = KILLERS / self.name
        killer = [known.read_text(encoding="utf-8")] if known.exists() else []
        first = [test for test in killer if test in self.tests]
        rest = [test for test in self.tests if test not in first]
        yield from filter(None, (first, rest[:FIRST], rest[FIRST:]))


@dataclass(frozen=True)
class Coverage:
    """The tests that execute each line of each file, and how long each test takes, in seconds."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    @classmethod
    def measured(cls) -> Coverage:
        """The coverage of the tests as they are now, measured once for a state of the sources."""
        files = sorted(path for folder in ("workbench", *TESTS) for path in (ROOT / folder).rglob("*.py"))
        state = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
        stored = CACHE / f"{state}.json"
        if not stored.exists():
            CACHE.mkdir(exist_ok=True)
            stored.write_text(json.dumps(measure()), encoding="utf-8")
        lines, seconds = json.loads(stored.read_text(encoding="utf-8"))
        return cls({f: {int(n): tests for n, tests in by.items()} for f, by in lines.items()}, seconds)


def measure() -> tuple[dict[str, dict[int, list[str]]], dict[str, float]]:
    """Run the tests once under coverage, each as a context of its own; those that fail already are left out."""
    from coverage import CoverageData

    data, report = CACHE / "coverage", CACHE / "report.xml"
    options = [
        "--cov=workbench",
        "--cov-context=test",
        "--cov-report=",
        f"--junitxml={report}",
        "-o",
        "junit_family=xunit1",
    ]
    workers = ["-n", str(AT_ONCE), "--dist", "worksteal", "--timeout=900", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *workers, *options, *TESTS]
    environment = {
        **os.environ,
        "COVERAGE_FILE": str(data),
        "PYTHONPYCACHEPREFIX": str(CACHE / "compiled"),
        "CI": "true",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"The tests do not run:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    seconds = durations(report)
    covered = CoverageData(str(data))
    covered.read()
    lines: dict[str, dict[int, list[str]]] = {}
    for path in covered.measured_files():
        by_line = covered.contexts_by_lineno(path)
        lines[str(Path(path).relative_to(ROOT))] = {
            line: sorted({context.partition("|")[0] for context in contexts} & set(seconds))
            for line, contexts in by_line.items()
        }
    return lines, seconds


def durations(report: Path) -> dict[str, float]:
    """Seconds of each test that passed in a JUnit report, by its id."""
    from xml.etree import ElementTree

    cases = [case for case in ElementTree.parse(report).getroot().iter("testcase") if not len(case)]
    return {f"{case.get('file')}::{case.get('name')}": float(case.get("time", 0)) for case in cases}


def executed_by(tested: Coverage, file: str, text: str, line: int) -> list[str]:
    """The tests that execute the statement on that line, nearest first, then the other tests of the file.

    Where it runs at import, such as a default, those that execute the body behind it, or any line of the file. A
    decorator of a dataclass shows in every class: the test of all dataclasses comes first.
    """
    by_line = tested.lines.get(file, {})
    found: set[str] = set()
    for lines in (*statement(text, line), by_line):
        found = found or {test for at in lines for test in by_line.get(at, ())}
    near = f"/test_{Path(file).stem}.py::"

    def order(test: str) -> tuple[bool, float]:
        return near not in test, tested.seconds.get(test, 1.0)

    first = [DATACLASSES] if "@dataclass" in text.splitlines()[line - 1] else []
    chosen = sorted(found - set(first), key=order)[:MOST]
    return [*first, *chosen, *sorted({test for test in tested.seconds if near in test} - set(chosen), key=order)]


def statement(text: str, line: int) -> tuple[range, range]:
    """The lines of the innermost statement there; of one with a body, those before it, and all of them."""
    around = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.stmt) and first_line(n) <= line <= n.end_lineno]  # type: ignore[operator]
    if not around:
        return range(line, line + 1), range(0)
    inner = max(around, key=first_line)
    body, whole = getattr(inner, "body", None), range(first_line(inner), inner.end_lineno + 1)  # type: ignore[operator]
    return (range(first_line(inner), body[0].lineno) if body else whole), whole


def first_line(node: ast.stmt) -> int:
    """Where a statement begins, with its decorators."""
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])


def run_mutants(work: Sequence[Work]) -> Iterator[bool]:
    """Whether each mutant is killed, in order, a few at once."""
    prepare()
    running: dict[int, tuple[int, float]] = {}
    killed: dict[int, bool] = {}
    todo = list(enumerate(work))[::-1]
    for turn in range(len(work)):
        while turn not in killed:
            while todo and len(running) < AT_ONCE:
                place, one = todo.pop()
                running[fork(one)] = place, time.monotonic()
            for child, code in ended(running):
                killed[running.pop(child)[0]] = code != 0
        yield killed[turn]


def prepare() -> None:
    """Load what every child needs, but nothing of the project."""
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(CACHE / "compiled")
    os.environ |= {"PYTHONPYCACHEPREFIX": sys.pycache_prefix, "CI": "true"}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("workbench", "tests")]:
        if name.startswith("workbench"):
            del sys.modules[name]
    for library in LIBRARIES:
        importlib.import_module(library)


def ended(running: dict[int, tuple[int, float]]) -> list[tuple[int, int]]:
    """Children that have ended, with their exit codes; one that hangs is ended here."""
    time.sleep(0.05)
    found = []
    for child, (_, begin) in running.items():
        if time.monotonic() - begin > WALL:
            os.kill(child, signal.SIGKILL)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            found.append((child, status))
    return found


def fork(work: Work) -> int:
    """Start a child that runs the tests of a mutant; it exits with 0 when all of them pass."""
    child = os.fork()
    if child == 0:
        run_in_child(work)
    return child


def run_in_child(work: Work) -> None:
    """Run the tests with the file changed, and exit with their status."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.chdir(ROOT)
        sys.meta_path.insert(0, Changed(work.file, work.code))
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:xdist", "--timeout=0"]
        status = 0
        for tests in work.stages:
            status = status or int(pytest.main([*options, *tests], plugins=[Killer(work.name)]))
    finally:
        os._exit(status)


@dataclass(frozen=True)
class Killer:
    """A plug-in of pytest that notes the first test to fail on a mutant."""

    mutant: str

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the test's id."""
        if report.failed:
            KILLERS.mkdir(parents=True, exist_ok=True)
            (KILLERS / self.mutant).write_text(report.nodeid, encoding="utf-8")


class Changed(MetaPathFinder):
    """Finds one module of the project with another text than its file's."""

    def __init__(self, file: str, code: str) -> None:
        self.name, self.path, self.code = file.removesuffix(".py").replace("/", "."), str(ROOT / file), code

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's place, with a loader that reads the changed text."""
        if name != self.name:
            return None
        return spec_from_file_location(name, self.path, loader=ChangedLoader(name, self.path, self.code))


class ChangedLoader(SourceFileLoader):
    """Reads a module from a text, and neither reads nor writes its compiled form."""

    def __init__(self, name: str, path: str, code: str) -> None:
        super().__init__(name, path)
        self.text = code

    def get_data(self, path: str) -> bytes:
        return self.text.encode()

    def path_stats(self, path: str) -> dict[str, float]:
        raise OSError
