"""Tests of the reuse of freed memory, where the C library supports it."""

from __future__ import annotations

import platform

import pytest

from workbench.core import allocator


class RecordingLibrary:
    """A C library that records what is asked of it and grants everything but `refused`."""

    def __init__(self, refused: int | None = None) -> None:
        self.calls: list[tuple[int, int]] = []
        self.trims: list[int] = []
        self.refused = refused

    def mallopt(self, parameter: int, value: int) -> int:
        self.calls.append((parameter, value))
        return int(parameter != self.refused)

    def malloc_trim(self, pad: int) -> int:
        self.trims.append(pad)
        return 1


@pytest.mark.parametrize("library", ["musl", ""])
def test_nothing_is_changed_on_a_platform_without_glibc(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    allocator._libc.cache_clear()
    monkeypatch.setattr(platform, "libc_ver", lambda: (library, "1.2"))
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: pytest.fail("the C library was opened"))
    try:
        assert allocator.keep_freed_pages() is False
        allocator.release()
    finally:
        allocator._libc.cache_clear()


def test_both_thresholds_of_malloc_h_are_set_to_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    library, m_trim_threshold, m_mmap_threshold = RecordingLibrary(), -1, -3
    monkeypatch.setattr(allocator, "_libc", lambda: library)
    assert allocator.keep_freed_pages(4096) is True
    assert sorted(library.calls) == [(m_mmap_threshold, 4096), (m_trim_threshold, 4096)]
    allocator.release()
    assert library.trims == [0]


@pytest.mark.parametrize("refused", [-1, -3])
def test_a_threshold_that_the_library_refuses_is_reported(refused: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_libc", lambda: RecordingLibrary(refused))
    assert allocator.keep_freed_pages(4096) is False
