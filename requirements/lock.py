"""Write the pinned versions with the hash of each of their files: `make lock`, after a change of constraints.txt.

`app.lock` is what the dashboard and the library need, `test.lock` what tests, benchmarks and the documentation need
besides, `cuda.lock` the libraries of torch's build for Linux with CUDA, which its other builds do without. Each holds
for Python 3.11 and newer on Linux (x86-64 and arm64) and macOS. Builds of torch in the folder named by
PIP_FIND_LINKS are added to those of the index.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CUDA = re.compile(r"(nvidia|cuda|triton)\b")
OPTIONS = (
    "--universal", "--generate-hashes", "--python-version=3.11", "--no-annotate", "--no-header",
    "--no-emit-index-url", "--no-emit-find-links", "--quiet", "--constraint=constraints.txt",
    "--no-emit-package=httpx2-jsfetch", "--no-emit-package=cffi", "--no-emit-package=pycparser", "pyproject.toml", "-",
)  # fmt: skip
HEAD = "# Made by requirements/lock.py from pyproject.toml and constraints.txt.\n"


def compiled(*extras: str) -> dict[str, str]:
    """The lines of every package that the project needs with these extras, by its name; uv resolves them."""
    command = ["uv", "pip", "compile", *OPTIONS, *(f"--extra={extra}" for extra in extras)]
    try:
        done = subprocess.run(
            command, cwd=HERE.parent, input="hatchling\n", capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        sys.exit("uv is not installed. Run pip install uv, or put it on the PATH.")
    if done.returncode:
        sys.exit(done.stderr)
    blocks = re.split(r"\n(?=[A-Za-z0-9])", done.stdout.strip())
    return {re.split(r"[=\[ ]", block)[0]: block + "\n" for block in blocks}


def with_local_builds(torch: str) -> str:
    """The lines of torch with the hashes of its builds in the folder named by PIP_FIND_LINKS."""
    version = re.search(r"==([\d.]+)", torch)
    folder = os.environ.get("PIP_FIND_LINKS", "")
    if not folder or not version:
        return torch
    builds = sorted(Path(folder).glob(f"torch-{version[1]}+*.whl"))
    digests = [hashlib.sha256(build.read_bytes()).hexdigest() for build in builds]
    return torch.rstrip() + "".join(f" \\\n    --hash=sha256:{d}" for d in digests if d not in torch) + "\n"


def main() -> None:
    """Write the three files."""
    app, everything = compiled(), compiled("test", "bench", "docs")
    app.pop("colorama", None)  # click needs it on Windows alone, mkdocs-material everywhere
    app["torch"] = everything["torch"] = with_local_builds(app["torch"])
    parts = {
        "app": [app[name] for name in app if not CUDA.match(name)],
        "test": [everything[name] for name in everything if name not in app and not CUDA.match(name)],
        "cuda": [everything[name] for name in everything if CUDA.match(name)],
    }
    for part, blocks in parts.items():
        (HERE / f"{part}.lock").write_text(HEAD + "".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    main()
