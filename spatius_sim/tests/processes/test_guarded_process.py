"""A guarded process: its streams and its exit code are the command's own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE

import pytest

from spatius_sim.net.start_guarded_process import GuardedProcess

SECONDS = 20.0


async def started(program: str) -> GuardedProcess:
    return await GuardedProcess.start([sys.executable, "-c", program], grace=0, stdin=PIPE, stderr=DEVNULL)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("exit(7)", 7),
        ("exit(0)", 0),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
    ],
)
async def test_the_exit_code_is_the_commands(program: str, code: int) -> None:
    guarded = await started(program)
    await guarded.wait(SECONDS)
    assert guarded.process.returncode == code
    await guarded.end()


async def test_a_command_that_closes_its_output_is_seen_to_do_so() -> None:
    guarded = await started("import os, time; os.write(1, b'all'); os.close(1); time.sleep(600)")
    assert guarded.process.stdout is not None
    assert await asyncio.wait_for(guarded.process.stdout.read(), SECONDS) == b"all"
    assert guarded.process.returncode is None
    await guarded.end()


async def test_what_cannot_be_started_is_told_and_holds_nothing() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no-such-program"):
        await GuardedProcess.start(["no-such-program"], grace=0, stdin=DEVNULL, stderr=DEVNULL)
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_start_that_is_cancelled_leaves_no_command() -> None:
    """asyncio kills a process that it is just starting."""
    guarded = await started("import time; print(flush=True); time.sleep(600)")
    assert guarded.process.stdout is not None
    assert await guarded.process.stdout.readline() == b"\n"
    guarded.process.kill()
    await asyncio.wait_for(guarded.end(), SECONDS)
    assert await asyncio.wait_for(guarded.process.stdout.read(), SECONDS) == b""
