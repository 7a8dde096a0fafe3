"""Tests of the identity of processes."""

import os
import subprocess
import sys

import psutil

from workbench.experiments.store.processes import Process, start_of, this_process


def test_this_process_is_alive_and_stays_the_same() -> None:
    assert this_process() == this_process() and this_process().pid == os.getpid() and this_process().is_alive


def test_a_process_that_has_ended_is_not_alive_even_before_it_is_waited_for() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = Process(child.pid, start_of(child.pid))
    assert known.is_alive
    child.stdin.close()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert not known.is_alive
    child.wait()
    assert not known.is_alive and start_of(child.pid) is None


def test_a_number_that_was_given_again_is_another_process() -> None:
    assert not Process(os.getpid(), this_process().born + 1).is_alive
    assert not Process(os.getpid(), this_process().born - 1).is_alive
