"""`python -m tests.campaigns [NAME ...] [--size N]`: every campaign, or the named ones, one JSON line per figure.

A campaign tries many inputs, kills or changes and counts how many went wrong. Each is a module of this folder with a
function `figures(size)`, where `size` is the number of trials, and its default `SIZE`, which runs in a few minutes.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import torch


def names() -> list[str]:
    """The campaigns: the modules of this folder that have a `figures` function."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if "\ndef figures(" in path.read_text(encoding="utf-8"))


def main() -> None:
    """Run and print; exit with 1 when a figure misses its target."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; all by default")
    parser.add_argument(
        "--size", "--cases", "--trials", type=int, help="number of trials (default: the campaign's own)"
    )
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(names()):
        parser.error(f"no campaign named {', '.join(unknown)}; there are {', '.join(names())}")
    torch.set_num_threads(1)
    missed = False
    for name in chosen.names or names():
        campaign = importlib.import_module(f"tests.campaigns.{name}")
        for figure in campaign.figures(chosen.size or campaign.SIZE):
            print(figure.line(), flush=True)
            missed |= figure.met is False
    sys.exit(missed)


if __name__ == "__main__":
    main()
