"""Prints a tape as lines of text, all of it or what the user asks for."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.timeline.event_lines import event_lines
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.trace.events import Event, Lane, Trace, TurnStarted


@dataclass(frozen=True, slots=True)
class TapeFilter:
    """What is shown of a tape: the `connections` that are named (all, if none is), turn number `turn` of
    these clients (from 1; 0: all), and the lines in which the regular expression `grep` is found (if it is
    "", all)."""

    connections: frozenset[str] = frozenset()
    turn: int = 0
    grep: str = ""


def show_tape(path: Path, tape_filter: TapeFilter) -> Iterator[str]:
    """Yield a tape as lines of text: for each run on it, what was run and how to repeat it, and then a line
    for each event that passes the filter.

    Raises UsageError if the file is no tape, if the regular expression of the filter is wrong, or if no event
    passes the filter."""
    try:
        pattern = re.compile(tape_filter.grep, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--grep {tape_filter.grep!r}: no regular expression: {error}") from error
    is_empty = True
    connections: set[str] = set()
    for run_number, trace in enumerate(read_traces(path), 1):
        yield from _describe_run(path, run_number, trace)
        connections |= {event.connection for event in trace.events if event.connection}
        numbers_in_turn = _event_numbers_in_turn(trace, tape_filter) if tape_filter.turn else None
        for line in event_lines(trace):
            event = line.event
            if tape_filter.connections and event.connection not in tape_filter.connections:
                continue
            is_in_turn = numbers_in_turn is None or event.seq in numbers_in_turn
            if is_in_turn and pattern.search(str(line)):
                is_empty = False
                yield f"{event.seq:6}  {line}"
    if is_empty and tape_filter != TapeFilter():
        names = ", ".join(sorted(connections)) or "none"
        raise UsageError(f"{path}: nothing fits; its connections are {names}")


def _describe_run(path: Path, run_number: int, trace: Trace) -> Iterator[str]:
    """Yield a line that says what was run. If the tape knows the plan of the run, yield also the arguments by
    which `spatius-sim verify` runs it again. `path` is the path of the tape."""
    header = trace.header
    wire = f" over {header.wire}" if header.wire else ""
    yield f"run {run_number}: {header.subject}{wire}, seed {header.seed}: {header.plan or 'no plan'}"
    if header.plan_token:
        plan = str(path) if run_number == 1 else header.plan_token
        arguments = shlex.join([f"--seed={header.seed}", "--rule=RULE", f"--plan={plan}"])
        yield f"run {run_number} is run again by spatius-sim verify with {arguments}"


def _event_numbers_in_turn(trace: Trace, tape_filter: TapeFilter) -> set[int]:
    """Return the numbers of the events to show of a run: those that lie in the turn that the filter names, of
    the clients that the filter names; if it names no client, of all clients."""
    turn_by_client: dict[str, int] = {}
    all_clients = {event.connection for event in trace.events if isinstance(event.content, TurnStarted)}
    shown_clients = all_clients & tape_filter.connections or all_clients
    event_numbers: set[int] = set()
    for event in trace.events:
        if isinstance(event.content, TurnStarted):
            turn_by_client[event.connection] = event.content.turn + 1
        if _is_in_turn(event, turn_by_client, shown_clients, tape_filter.turn):
            event_numbers.add(event.seq)
    return event_numbers


def _is_in_turn(event: Event, turn_by_client: dict[str, int], shown_clients: set[str], turn: int) -> bool:
    """Return whether this event of a tape lies in turn number `turn`. An event of a client does if this is
    the client's present turn (`turn_by_client`). Any other event does if this is the present turn of one of
    the `shown_clients`, the clients whose turns are shown."""
    if event.lane in (Lane.DOWNSTREAM, Lane.KIT) and event.connection in turn_by_client:
        return turn_by_client[event.connection] == turn
    return any(turn_by_client.get(client) == turn for client in shown_clients)
