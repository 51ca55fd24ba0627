"""Judges mutants in processes: one for each mutant, with a bound for its CPU time and its memory."""

import resource
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing import connection, get_context
from multiprocessing.context import ForkContext, ForkProcess, ForkServerContext, ForkServerProcess

from spatius_sim.tests.mutants import judging
from spatius_sim.tests.mutants.judging import Fate, Judged
from spatius_sim.tests.mutants.mutant import MODULES, Mutant

_MAX_MEMORY_BYTES = 3 * 1024**3
_Process = ForkProcess | ForkServerProcess


def judge_all(
    mutants: Iterable[Mutant], seed: int, processes: int, *, in_forks: bool = False
) -> Iterator[tuple[Mutant, Judged]]:
    """Judge these mutants, so many at the same time, and yield each with its fate as soon as it is known.

    With `in_forks`, each is judged in a fork of this process, which must have no other threads: so they share
    the plans that this process has drawn."""
    context: ForkContext | ForkServerContext = get_context("fork")
    if not in_forks:
        context = get_context("forkserver")
        context.set_forkserver_preload([judging.__name__])
    waiting = deque(mutants)
    running: dict[int, tuple[Mutant, _Process, connection.Connection]] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            mutant = waiting.popleft()
            answer, sender = context.Pipe(duplex=False)
            seconds = MODULES[mutant.module].cpu_seconds
            process = context.Process(target=_judge_and_send, args=(mutant, seed, seconds, sender))
            process.start()
            sender.close()
            running[process.sentinel] = mutant, process, answer
        for sentinel in connection.wait(list(running)):
            assert isinstance(sentinel, int)
            mutant, process, answer = running.pop(sentinel)
            process.join()
            yield mutant, _read_fate(process, answer)


def _judge_and_send(mutant: Mutant, seed: int, seconds: int, sender: connection.Connection) -> None:
    """Judge a mutant in this process, which may take so many seconds of CPU time."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    sender.send(judging.judge(mutant, seed))


def _read_fate(process: _Process, answer: connection.Connection) -> Judged:
    """Return what the process found out, or how it ended if it was ended before."""
    if answer.poll():
        try:
            judged: Judged = answer.recv()
            return judged
        except EOFError:
            pass
    if process.exitcode == -signal.SIGXCPU:
        return Judged(Fate.TIMED_OUT)
    return Judged(Fate.CRASHED, f"its process ended with {process.exitcode}")
