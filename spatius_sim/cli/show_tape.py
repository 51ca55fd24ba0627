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


def show_tape(path: Path, chosen: TapeFilter) -> Iterator[str]:
    """Show a tape, or what `chosen` leaves of it, as lines of text: for each run on the tape what was run and
    how to repeat it, and then its events. Yield the lines.

    Raises UsageError if the file is no tape, if the regular expression is wrong, or if no event is left."""
    try:
        pattern = re.compile(chosen.grep, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--grep {chosen.grep!r}: no regular expression: {error}") from error
    is_empty = True
    connections_seen: set[str] = set()
    for number, trace in enumerate(read_traces(path), 1):
        yield from _describe_run(path, number, trace)
        connections_seen |= {event.connection for event in trace.events if event.connection}
        in_turn = _events_in_turn(trace, chosen) if chosen.turn else None
        for line in event_lines(trace):
            event = line.event
            if chosen.connections and event.connection not in chosen.connections:
                continue
            if (in_turn is None or event.seq in in_turn) and pattern.search(str(line)):
                is_empty = False
                yield f"{event.seq:6}  {line}"
    if is_empty and chosen != TapeFilter():
        raise UsageError(
            f"{path}: nothing fits; its connections are {', '.join(sorted(connections_seen)) or 'none'}"
        )


def _describe_run(path: Path, number: int, trace: Trace) -> Iterator[str]:
    """Yield the lines that say what a run on the tape was, and by which command it is run again."""
    header = trace.header
    wire = f" over {header.wire}" if header.wire else ""
    yield f"run {number}: {header.subject}{wire}, seed {header.seed}: {header.plan or 'no plan'}"
    if header.plan_token:
        plan = str(path) if number == 1 else header.plan_token
        again = shlex.join([f"--seed={header.seed}", "--rule=RULE", f"--plan={plan}"])
        yield f"run {number} is run again by spatius-sim verify with {again}"


def _events_in_turn(trace: Trace, chosen: TapeFilter) -> set[int]:
    """Return the numbers of the events that `spatius-sim tape show` prints of a run: those in the turn that
    the user has chosen, of the clients that the user has chosen (of all clients if the user named none)."""
    turns: dict[str, int] = {}
    takes_turns = {event.connection for event in trace.events if isinstance(event.content, TurnStarted)}
    clients = takes_turns & chosen.connections or takes_turns
    found: set[int] = set()
    for event in trace.events:
        if isinstance(event.content, TurnStarted):
            turns[event.connection] = event.content.turn + 1
        if _is_in_turn(event, turns, clients, chosen.turn):
            found.add(event.seq)
    return found


def _is_in_turn(event: Event, turns: dict[str, int], clients: set[str], turn: int) -> bool:
    """Return whether `spatius-sim tape show` counts this event as part of turn number `turn`. `turns` holds
    the present turn of each client. An event of no client belongs to the turn of each client in `clients`."""
    if event.lane in (Lane.DOWNSTREAM, Lane.KIT) and event.connection in turns:
        return turns[event.connection] == turn
    return any(turns.get(client) == turn for client in clients)
