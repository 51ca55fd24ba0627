"""`python -m spatius_sim.tests.time_to_verdict --old PATH [NAME ...]`: how long a verdict takes.

Two good relays and six broken ones are judged by whole runs of the ci profile, over sockets and with
processes as users have them: by this spatius-sim, one after the other, and by an older one, which starts each
together with ours. Prints a row for each as Markdown: seconds to the verdict, seconds of CPU (judge and
relay), seconds until a breach was named first, and what failed. The last column is the waiting alone, in
virtual time: on an idle machine a run takes that and its CPU.
"""

import argparse
import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Timer
from typing import NamedTuple

from websockets.asyncio.server import serve

from spatius_sim.miniatures.relay.honest_relays import KEEPS_ITS_SESSION
from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.miniatures.relay.wrong_relays import LosesLastPayload, NeverEndsUpstream, NeverMarksAudioEnd
from spatius_sim.miniatures.relay.wrong_with_clients import PassesStaleMotionOn
from spatius_sim.miniatures.relay.wrong_with_faults import TellsNoFailure
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.wires import published_wire
from spatius_sim.wires.events import ClientAction

MAX_SECONDS = 900.0
_FIRST_WORD = re.compile(r"broken already|FAILED [RU]-")
_FAILED = re.compile(r"FAILED: ([RU]-[A-Z-]+(?:, [RU]-[A-Z-]+)*)")


class _KeepsItsSession(PlainRelay):
    policy = KEEPS_ITS_SESSION


class _DeadAfterATurn(PlainRelay):
    """Takes connections for ever, and does nothing any more once a client has spoken its second turn."""

    def __init__(self, api_key: str, new_id: object, policy: None = None) -> None:
        super().__init__(api_key, new_id, policy)  # type: ignore[arg-type]
        self._turns = 0

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        self._turns += type(action).__name__ == "SpeakEnd"
        return super().on_client_action(client, action) if self._turns < 2 else []


class _NeverEndsUpstream(NeverEndsUpstream):
    """Never sends end=true up, and waits as long for motion as a relay in production does."""

    policy = RelayPolicy(silence_seconds=10.0)


RELAYS: dict[str, type[PlainRelay]] = {
    "good": PlainRelay,
    "good, one session for all turns": _KeepsItsSession,
    "no end mark": NeverMarksAudioEnd,
    "silent on failure": TellsNoFailure,
    "dead after a turn": _DeadAfterATurn,
    "one lost payload": LosesLastPayload,
    "stale motion": PassesStaleMotionOn,
    "no end mark upstream, gives up after 10 s": _NeverEndsUpstream,
}


class Measured(NamedTuple):
    """One run: seconds to its end, seconds of CPU, seconds until a breach was named (0: never), the exit
    code, and the rules that failed."""

    seconds: float
    cpu_seconds: float
    first_word: float
    code: int
    failed: str


async def _serve(brain: type[PlainRelay], port: int) -> None:
    """Serve a relay until SIGTERM; the environment says where Motion Server is."""
    numbers = count(1)
    relay = MiniatureRelay(
        brain(os.environ["SPATIUS_API_KEY"], lambda: f"request-{next(numbers)}"),
        published_wire("json-envelope"),
        os.environ["SPATIUS_CONSOLE_ENDPOINT"],
        os.environ["SPATIUS_INGRESS_ENDPOINT"],
    )
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with serve(relay.converse, "127.0.0.1", port):
        await told.wait()


def _measure(judge: list[str], name: str) -> Measured:
    """Judge one relay by this command, in a folder of its own."""
    relay = shlex.join([sys.executable, "-m", "spatius_sim.tests.time_to_verdict", "--relay", name])
    options = [f"--target-cmd={relay} --port {{port}}", "--motion-port=0", "--level=should"]
    command = [*judge, "verify", "ws://127.0.0.1:{port}/ws/agent", *options]
    # As users have it: Python compiles what it imports once, not at every start.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    began, first_word, failed = time.monotonic(), 0.0, ""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        too_long = Timer(MAX_SECONDS, process.send_signal, [signal.SIGINT])
        too_long.start()
        assert process.stdout is not None
        for line in process.stdout:
            if not first_word and _FIRST_WORD.search(line):
                first_word = time.monotonic() - began
            found = _FAILED.search(line)
            failed = found[1] if found else failed
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        too_long.cancel()
    seconds, cpu_seconds = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    return Measured(seconds, cpu_seconds, first_word, process.returncode, failed)


def _wait_virtually(name: str) -> float:
    """Return how many seconds a whole run of this relay waits, in virtual time."""
    # A relay that this program serves would start later for these.
    from spatius_sim.tests.suspects import Hearing, Suspect

    with (
        tempfile.TemporaryDirectory() as folder,
        Hearing(Suspect("relay", RELAYS[name]), 1, Path(folder)) as h,
    ):
        h.cut_down_plans()
        began = h.seconds
        h.of_all_rules()
        return h.seconds - began


def _cells(measured: Measured | None) -> str:
    if measured is None:
        return "| | | | "
    word = f"{measured.first_word:.0f}" if measured.first_word else ""
    verdict = measured.failed or {0: "passed"}.get(measured.code, f"exit code {measured.code}")
    return f"| {measured.seconds:.0f} | {measured.cpu_seconds:.0f} | {word} | {verdict} "


def main() -> int:
    """Print the table, row by row; with `--relay` serve one relay instead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", default="", help="the spatius-sim to compare with")
    parser.add_argument("--relay", choices=RELAYS)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    if given.relay:
        asyncio.run(_serve(RELAYS[given.relay], given.port))
        return 0
    new, old = [sys.executable, "-m", "spatius_sim"], [given.old] if given.old else []
    heads = "seconds | CPU | first word | verdict"
    sys.stdout.write(f"| relay | now: {heads} | before: {heads} | waiting now |\n|{'---|' * 10}\n")
    names = given.names or list(RELAYS)
    with ThreadPoolExecutor(len(names)) as pool:
        now, before = [], []
        # One of ours at a time; an older one starts with it, and may take several of ours to end.
        for name in names:
            before.append(pool.submit(_measure, old, name) if old else None)
            now.append(_measure(new, name))
        for name, one, other in zip(names, now, before, strict=True):
            cells = _cells(one) + _cells(other.result() if other else None)
            sys.stdout.write(f"| {name} {cells}| {_wait_virtually(name):.0f} |\n")
            sys.stdout.flush()
    load = os.getloadavg()
    sys.stdout.write(f"\n{os.cpu_count()} cores, load {load[0]:.0f} to {load[2]:.0f}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
