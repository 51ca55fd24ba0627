"""Judges mutants in processes: one for each mutant, with a bound for its CPU time and its memory."""

import resource
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing import connection, get_context
from multiprocessing.context import ForkProcess

from spatius_sim.tests.mutants import judging
from spatius_sim.tests.mutants.judging import Fate, Judged
from spatius_sim.tests.mutants.mutant import MODULES, Mutant

_MAX_MEMORY_BYTES = 3 * 1024**3


def judge_all(mutants: Iterable[Mutant], seed: int, processes: int) -> Iterator[tuple[Mutant, Judged]]:
    """Judge these mutants, so many at the same time, and yield each with its fate as soon as it is known.

    The plans are drawn before, once for all: each mutant is judged in a fork of this process."""
    waiting = deque(mutants)
    for kind in {MODULES[mutant.module].kind: None for mutant in waiting}:
        judging.draw_plans(kind, seed)
    context = get_context("fork")
    running: dict[int, tuple[Mutant, ForkProcess, connection.Connection]] = {}
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


def _read_fate(process: ForkProcess, answer: connection.Connection) -> Judged:
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
