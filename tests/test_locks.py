"""Tests of the hashed requirement files: the versions of constraints.txt, and no local addresses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("app", "test", "cuda")
HEAD = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(\[[^\]]*\])?==(?P<version>[^\s;]+)(?P<marker> ;[^\\]*)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonical(name): version for name, version in pairs}


def locked(part: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{part}.lock").read_text(encoding="utf-8").splitlines()
    heads = [match for line in lines if (match := HEAD.fullmatch(line))]
    return {canonical(match["name"]): match["version"] for match in heads}


@pytest.mark.parametrize("part", PARTS)
def test_every_line_names_a_version_or_a_hash(part: str) -> None:
    lines = (ROOT / "requirements" / f"{part}.lock").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines[1:] if not HEAD.fullmatch(line) and not HASH.fullmatch(line)]
    last = [line for line in lines[1:] if not line.endswith("\\")]
    assert len(last) == len(locked(part)), "a package without a hash"


@pytest.mark.parametrize("part", ["app", "test"])
def test_locked_versions_are_those_of_the_constraints(part: str) -> None:
    pins = pinned()
    assert {name: version for name, version in locked(part).items() if pins.get(name) != version} == {}


def test_every_dependency_is_locked() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {"app": project["dependencies"], "test": [*extras["test"], *extras["bench"], *extras["docs"]]}
    for part, wanted in needed.items():
        names = {canonical(re.split(r"[<>=!\[; ]", one)[0]) for one in wanted}
        assert names <= set(locked(part)) | set(locked("app"))


def test_a_package_is_in_one_part_and_torchs_other_builds_do_without_cuda() -> None:
    parts = [set(locked(part)) for part in PARTS]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert all(re.match(r"nvidia|cuda|triton", name) for name in parts[2]) and "torch" in parts[0]
