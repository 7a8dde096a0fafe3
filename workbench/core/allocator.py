"""Reuse of freed memory by the process, where page faults would cost more than the work itself."""

import ctypes
import platform
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


@cache
def _libc() -> ctypes.CDLL | None:
    """The C library if it is glibc; None on any other platform, where this module does nothing."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def keep_freed_pages(size: int = 2**30 - 1) -> bool:
    """Make the whole process keep the memory that tensors of up to `size` bytes free.

    Page faults are most of what caching large activations costs: 1.16 times the plain forward pass without this and
    1.08 with it, on a GPT of 4 layers with 16 x 128 tokens. The price is that the process stays as large as it ever
    was until `release()`; 20 tensors of 40 MB leave 1.2 GB behind. Trainings and the command line ask for it. A
    server that stays idle for hours should not.

    Returns:
        True if the platform can do it (glibc); False if nothing was changed.
    """
    libc = _libc()
    return bool(libc and libc.mallopt(M_MMAP_THRESHOLD, size) and libc.mallopt(M_TRIM_THRESHOLD, size))


def release() -> None:
    """Return freed pages to the kernel."""
    if (libc := _libc()) is not None:
        libc.malloc_trim(0)
