"""Tests of the whole command line, in this process and as a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli import COMMANDS, status

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    return workspace


def command(*tokens: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *tokens], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["lst"]) == 2
    assert 'Did you mean "list"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ("list modls", "models"),
        ("list --jsn", "--json"),
        ("show digts", "'digits'"),
        ("run shar", "'share'"),
        ("run share --model digts --factor 1", "'digits'"),
        ("run share --model digits --facter 1", "--factor"),
        ("run share --model digits --factor two", "should be a number, not 'two'"),
        ("run share --model digits --factor 1 --mode plane", "'plain'"),
        ("run share --model digits --factor 1 --metric lgit", "'logit'"),
        ("run share --model digits --factor 1 --inputs test:0:9999", "inside 0:359"),
        ("run share --model digits --factor 1 -o x.txt", "ending of x.txt"),
        ("run share --factor 1", "--model"),
        ("run share --model digits", "--factor"),
        ("export nothing", "stored result"),
        ("pipeline nothing.toml", "cannot be read"),
        ("train digit_mlp", "'digits_mlp'"),
        ("train digits_mlp --set stps=3", "'steps'"),
        ("train digits_mlp --set steps=many", "should be a whole number"),
        ("train digits_mlp --set steps", "NAME=VALUE"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tokens: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(tokens.split()) == 2
    written = capsys.readouterr()
    assert words in written.err and written.err.count("\n") == 1 and not written.out


def test_every_command_has_a_help_page(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert status([name, "--help"]) == 0
        assert "Usage: workbench" in capsys.readouterr().out


def test_the_command_is_clean_from_outside(here: Path) -> None:
    version, typo = command("--version"), command("shw")
    assert version.returncode == 0 and version.stdout.strip()
    assert typo.returncode == 2 and "Traceback" not in typo.stderr and 'Did you mean "show"' in typo.stderr


def test_listing_models_imports_no_torch() -> None:
    code = "import sys, workbench.cli\ncode = workbench.cli.status(['list', 'models', '--json'])\n"
    check = 'sys.stderr.write(f\'{code} {sorted({"torch", "pandas", "transformer_lens"} & set(sys.modules))}\')'
    result = subprocess.run([sys.executable, "-c", code + check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stderr == "0 []"
    assert [card["name"] for card in json.loads(result.stdout)] == ["digits", "policy", "text"]
