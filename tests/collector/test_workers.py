"""Which of a Managed Instance's workers have died."""

import os
import subprocess
import sys

from hoptrace_collector.receive.workers import Workers, alive


def test_a_worker_is_dead_once_when_it_was_seen_alive_before() -> None:
    living = {1, 2, 3}
    workers = Workers(living.__contains__)
    for pid in (1, 2, 3):
        workers.saw(pid)
    assert workers.dead([1, 2, 2, 3]) == []
    living -= {2}
    assert workers.dead([1, 2, 3]) == [2]
    assert workers.dead([1, 2, 3]) == []


def test_processes_that_cannot_be_seen_are_not_taken_for_dead() -> None:
    workers = Workers(lambda _: False)
    workers.saw(7)
    assert workers.dead([7]) == []
    assert workers.dead([7]) == []


def test_a_process_that_nobody_has_waited_for_is_dead_all_the_same() -> None:
    assert alive(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    assert os.path.exists(f"/proc/{child.pid}")
    assert not alive(child.pid)
    child.wait()
    assert not alive(child.pid)
