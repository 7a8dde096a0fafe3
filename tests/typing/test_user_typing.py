"""Tests that type checkers know the types of `workbench.run` and find a user's mistakes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.typing.generate import STUB, overloads

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PROGRAM = HERE / "user_file.py"
CHECKERS = {
    "pyrefly": ["check", "--output-format", "min-text"],
    "mypy": ["--config-file", str(HERE / "mypy.ini"), "--no-error-summary"],
}


def test_the_signatures_are_those_of_the_registry() -> None:
    assert STUB.read_text(encoding="utf-8") == overloads(), "renew them: python -m tests.typing.generate"


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_every_seeded_mistake_is_found_and_nothing_else(checker: str, tmp_path: Path) -> None:
    cache = ["--cache-dir", str(tmp_path)] if checker == "mypy" else []
    command = [sys.executable, "-m", checker, *CHECKERS[checker], *cache, str(PROGRAM.relative_to(ROOT))]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = {int(line) for line in re.findall(r"user_file\.py:(\d+):.*", "\n".join(errors_of(said)))}
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    seeded = {number for number, line in enumerate(lines, 1) if line.endswith(("# wrong", f"# wrong for {checker}"))}
    assert len(seeded) >= 20 and found == seeded, said


def errors_of(said: str) -> list[str]:
    """Return the lines of a checker's output that report an error."""
    return [line for line in said.splitlines() if re.search(r"\berror\b", line, re.IGNORECASE)]
