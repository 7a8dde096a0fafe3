"""Freed memory is kept on request: large tensors stop costing page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from workbench.core.allocator import keep_freed_pages

if sys.argv[1] == "kept":
    assert keep_freed_pages()
for turn in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(2**21) for _ in range(8)]
    del tensors
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep freed pages")
def test_freed_pages_are_used_again_once_that_was_asked_for() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "usual")
    }
    assert faults["kept"] < 100 < faults["usual"]
