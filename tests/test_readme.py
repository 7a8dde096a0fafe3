"""Tests that the code blocks of README.md and models/README.md run in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from workbench.cli.model_table import markdown

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(
    r"(?P<excepted><!-- not run: [^\n]+ -->\s*)?^```(?P<language>python|bash)\n(?P<code>.*?)^```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text and the line it starts on."""

    language: str
    code: str
    line: int


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [match for match in BLOCK.finditer(text) if not match["excepted"]]
    return [Block(m["language"], m["code"], text.count("\n", 0, m.start("code")) + 1) for m in found]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", ["README.md", "models/README.md"])
def test_every_block_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python blocks of a page share their names, and what a block writes stays out of the repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert blocks(page), f"{page} has no example that runs"
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in blocks(page):
        run(page, block, namespace)


def run(page: str, block: Block, namespace: dict[str, object]) -> None:
    where = f"{page}:{block.line}"
    if block.language == "python":
        padded = "\n" * (block.line - 1) + block.code
        exec(compile(padded, str(ROOT / page), "exec"), namespace)
        return
    command = ["bash", "-euo", "pipefail", "-c", block.code]
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, f"{where} exits with {result.returncode}:\n{result.stdout}{result.stderr}"


def test_the_table_of_models_is_what_their_cards_say() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [line for line in markdown() if line not in text] == []
