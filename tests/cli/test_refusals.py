"""Tests that wrong command lines give a short message on stderr and an exit code, without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import workbench.cli
from workbench.cli import FAILED, MISUSED, status
from workbench.core.errors import ConfigError

ROOT = Path(__file__).parents[2]
RUN = ["run", "share", "--model", "digits", "--factor", "1"]


@pytest.fixture(autouse=True)
def here(workspace: Path) -> Path:
    os.mkfifo(workspace / "pipe")
    (workspace / "deep.toml").write_text(f"a = {'[' * 5000}")
    (workspace / "number.toml").write_text(f"a = {'9' * 5000}")
    (workspace / "latin.toml").write_bytes("a = 'é'".encode("latin-1"))
    return workspace


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["show", "9" * 5000], "cannot be the name of a model"),
        (["show", "a" * 300], "cannot be the name of a model"),
        (["show", "a\0b"], "NUL"),
        (["show", "\udcff"], "cannot be the name of a model"),
        (["show", "\u202e\u2028"], "cannot be the name of a model"),
        (["export", "a/../b"], "No stored result"),
        (["pipeline", "a" * 300 + ".toml"], "File name too long"),
        (["pipeline", "pipe"], "is a pipe, not a file"),
        (["pipeline", "."], "is a folder, not a file"),
        (["pipeline", "/dev/null"], "is a device, not a file"),
        (["pipeline", "deep.toml"], "nest more than 100 deep"),
        (["pipeline", "number.toml"], "a number in it has over 4,300 digits"),
        (["pipeline", "latin.toml"], "not text in UTF-8"),
        (["compare", "deep.toml"], "nest more than 100 deep"),
        (["train", "digits_mlp", "--set", f"steps={'9' * 5000}"], "should be a whole number"),
        (["train", "digits_mlp", "--set", "threads=100000"], "from 1 to 256"),
        (["train", "digits_mlp", "--set", "hidden=0"], "should be a whole number of 1 or more"),
        (["train", "digits_mlp", "--seed", "1.5"], "--seed should be a whole number"),
        (["train", "digits_mlp", "--seed", "1_000"], "--seed should be a whole number"),
        (["check", "digits_mlp", "--steps", "1.5"], "--steps should be a whole number of 1 or more, not '1.5'"),
        (["check", "digits_mlp", "--steps", "-1"], "--steps should be a whole number of 1 or more, not -1"),
        (["difference", "--examples", "٣"], "--examples should be a whole number of 1 or more"),
        (["export", "abc", "--size", "-1"], "--size should be a whole number of 0 or more, not -1"),
        ([*RUN, "--seed", "1.5"], "seed should be a whole number"),
        ([*RUN, "--limit", "1e3"], "should be a whole number or none"),
        ([*RUN[:-1], "nan"], "should be a number, not 'nan'"),
        ([*RUN, "--inputs", f"test:{'9' * 5000}"], "no range of rows"),
        ([*RUN, "--inputs", "test:٠:٣"], "no range of rows"),
        ([*RUN, "--inputs", "test:1_0"], "no range of rows"),
        ([*RUN, "--inputs", f"file:{'a' * 300}"], "File name too long"),
        ([*RUN, "--inputs", "file:pipe"], "is a pipe, not a file"),
        ([*RUN, "--inputs", "other:0"], "cannot stand alone"),
        ([*RUN, "--inputs", "test:0:3", "--corrupted", f"other:{2**32}"], "too large"),
        ([*RUN, "-o", "pipe"], "ending of pipe"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_2(
    tokens: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(tokens) == MISUSED
    written = capsys.readouterr()
    assert words in written.err and written.err.count("\n") == 1 and len(written.err) < 2000 and not written.out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(28, "No space left on device", "/x"), FAILED, "No space left on device (/x)"),
        (MemoryError(), FAILED, "too little memory"),
        (KeyError("x"), FAILED, "an error of the workbench itself: KeyError: 'x'"),
        (ConfigError("a\nb" * 5000), MISUSED, "a b"),
    ],
)
def test_every_error_is_one_short_line(
    error: Exception, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(tokens: object) -> int:
        raise error

    monkeypatch.setattr(workbench.cli, "run", fail)
    assert status([]) == code
    written = capsys.readouterr().err
    assert words in written and written.count("\n") == 1 and len(written) < 2000
    monkeypatch.setenv(workbench.cli.TRACEBACK, "1")
    if code == FAILED:
        with pytest.raises(type(error)):
            status([])


def shell(line: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/bash", "-c", line.replace("workbench", f"{sys.executable} -m workbench")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("workbench list models >&-", 0, ""),
        ("workbench list models | true; exit ${PIPESTATUS[0]}", 0, ""),
        ("workbench list models >/dev/full", FAILED, "workbench: No space left on device"),
        ("workbench show $'\\xff'", MISUSED, "cannot be the name of a model"),
        ("workbench shw 2>&-", MISUSED, ""),
    ],
)
def test_what_the_shell_does_to_the_output_is_no_traceback(line: str, code: int, says: str) -> None:
    ended = shell(line)
    assert ended.returncode == code and "Traceback" not in ended.stderr and "Exception" not in ended.stderr
    assert says in ended.stderr and ended.stderr.count("\n") <= 1


@pytest.mark.parametrize("command", ["train", "check"])
def test_a_limit_is_raised_on_every_command_that_has_one(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wide = ["--set", "hidden=20000,20000", *(["--folder", str(tmp_path / "wide")] if command == "train" else [])]
    assert status([command, "digits_mlp", *wide]) == 2
    refusal = capsys.readouterr().err
    assert "--allow parameters=" in refusal
    assert status([command, "digits_mlp", *wide, "--allow", "parameters=7"]) == 2
    assert "which may have 7" in capsys.readouterr().err


def test_no_card_is_sealed_if_one_of_the_names_is_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed: list[str] = []
    monkeypatch.setattr("workbench.checkpoints.card.seal_card", lambda name, check: sealed.append(name))
    assert status(["seal", "digits", "nothing"]) == 2
    assert "No trained model named 'nothing'" in capsys.readouterr().err and not sealed
