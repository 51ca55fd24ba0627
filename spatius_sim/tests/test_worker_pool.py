"""Workers that judge do not outlive their command."""

import os
import select
import signal
import subprocess
import sys

_BUSY_FOR_EVER = """
import os, threading
from spatius_sim.tests.worker_pool import worker_pool

if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        threading.Event().wait()
"""


def test_a_worker_ends_when_its_command_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _BUSY_FOR_EVER], stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        worker = os.pidfd_open(int(command.stdout.readline()))
        try:
            command.send_signal(signal.SIGKILL)
            ended, _, _ = select.select([worker], [], [], 10)
        finally:
            command.kill()
            os.close(worker)
    assert ended
