"""How the kernel is asked to schedule a worker."""

from __future__ import annotations

import os
import threading

import pytest

from postroom.app.worker import work_in_batches


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this system has no SCHED_BATCH")
def test_a_worker_and_its_later_threads_do_not_push_others_aside() -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work_in_batches()
            seen: list[int] = []
            thread = threading.Thread(target=lambda: seen.append(os.sched_getscheduler(threading.get_native_id())))
            thread.start()
            thread.join()
            status = 0 if [os.sched_getscheduler(0), *seen] == [os.SCHED_BATCH] * 2 else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
