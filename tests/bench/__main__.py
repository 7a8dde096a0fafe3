"""`python -m tests.bench [NAME ...] [--threads N]`: every benchmark, or the named ones, one JSON line per figure."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import torch


def names() -> list[str]:
    """The benchmarks: the modules of this folder that have a `figures` function."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if "\ndef figures(" in path.read_text(encoding="utf-8"))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; all by default")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: %(default)s)")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(names()):
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(names())}")
    torch.set_num_threads(chosen.threads)
    for name in chosen.names or names():
        for figure in importlib.import_module(f"tests.bench.{name}").figures():
            print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
