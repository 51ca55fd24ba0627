"""Waits, after a client has hung up, until its upstream sessions are closed or time is up."""

import asyncio
import contextlib

from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.rules.relay.upstream_sessions import HANG_UP_SECONDS, find_sessions_to_close
from spatius_sim.story.build_story import build_story
from spatius_sim.subjects.wait_for_events import TIMER_TOLERANCE_SECONDS, loop_time
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Injected,
    Lane,
    Opened,
    Refused,
    TokenRequested,
    Trace,
    TraceHeader,
    WaitEnded,
)

_LATE_SECONDS = 0.3
"""How much later than it happens an event may be recorded."""

_CHECK_SECONDS = 0.5

_LEAST_CONNECTING_SECONDS, _TIMES_THE_LONGEST_CONNECTING = 1.0, 3.0
"""A token that has opened nothing is waited for three times as long as the relay needed before it used any
other token of the scenario, but at least a second. A relay that gave a token up can be waited for in vain
only."""

_NS_PER_SECOND = 1e9


async def watch_hang_ups(recorder: RealTimeRecorder, header: TraceHeader, clients: list[str]) -> None:
    """Wait until the relay has closed its sessions with Motion Server for these clients, which have hung up,
    for at most HANG_UP_SECONDS (and a little longer, because an event may be recorded late). If the relay
    opens another session meanwhile, these seconds begin again. Then record for each client whether all its
    sessions were closed."""
    opened_count_before, deadline = -1, 0.0
    while clients_with_open_sessions := _find_clients_with_open_sessions(recorder, header, clients):
        opened_count = _count_opened_sessions(recorder)
        if opened_count > opened_count_before:
            opened_count_before = opened_count
            deadline = loop_time() + HANG_UP_SECONDS + _LATE_SECONDS
        if deadline - loop_time() <= TIMER_TOLERANCE_SECONDS:
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_wait_for_session_to_end(recorder), _CHECK_SECONDS)
    for client in clients:
        recorder.emit(Lane.KIT, client, WaitEnded(Awaited.HANG_UP, client not in clients_with_open_sessions))


async def _wait_for_session_to_end(recorder: RealTimeRecorder) -> None:
    """Wait until the next session of the relay with Motion Server is closed or refused. The caller looks at
    all events only after that, because to do so at every event would cost too much."""
    next_index = len(recorder.events)
    while True:
        recorder.changed.clear()
        new_events = recorder.events[next_index:]
        if any(
            event.lane is Lane.UPSTREAM and isinstance(event.content, Closed | Refused)
            for event in new_events
        ):
            return
        next_index += len(new_events)
        await recorder.changed.wait()


def _count_opened_sessions(recorder: RealTimeRecorder) -> int:
    """Return how many upstream sessions have been opened in this run."""
    return sum(event.lane is Lane.UPSTREAM and isinstance(event.content, Opened) for event in recorder.events)


def _find_clients_with_open_sessions(
    recorder: RealTimeRecorder, header: TraceHeader, clients: list[str]
) -> set[str]:
    """Return those clients for which the relay still has an open session with Motion Server. All `clients`
    have hung up. If the relay may still open a session, return all of them."""
    if _may_still_open_session(recorder):
        return set(clients)
    story = build_story(Trace(header, tuple(recorder.events)))
    closed_sessions = {
        event.connection for event in story.trace.on_lane(Lane.UPSTREAM) if isinstance(event.content, Closed)
    }
    return {client for client in clients if set(find_sessions_to_close(story, client)) - closed_sessions}


def _may_still_open_session(recorder: RealTimeRecorder) -> bool:
    """Return whether the relay may still open a session with Motion Server, because it waits for a token, or
    holds one that it has not used yet. A token that was issued too long ago does not count: the relay has
    given it up. The time limit for an unused token is longer if the relay was slow to use earlier tokens."""
    issued_at_ns: dict[str, int] = {}
    used_at_ns: dict[str, int] = {}
    token_due_at_ns = 0.0
    for event in recorder.events:
        match event.content:
            case Injected(delay=delay) if delay and not event.connection:
                token_due_at_ns = event.at_ns + (delay + _LATE_SECONDS) * _NS_PER_SECOND
            case TokenRequested(token=token):
                token_due_at_ns = 0.0
                if token:
                    issued_at_ns[token] = event.at_ns
            case Opened(token=token) | Refused(token=token) if event.lane is Lane.UPSTREAM:
                used_at_ns.setdefault(token, event.at_ns)
    if loop_time() * _NS_PER_SECOND < token_due_at_ns:
        return True
    durations_ns = [used_at_ns[token] - at_ns for token, at_ns in issued_at_ns.items() if token in used_at_ns]
    patience_seconds = HANG_UP_SECONDS
    if durations_ns:
        longest_seconds = max(durations_ns) / _NS_PER_SECOND
        scaled_seconds = max(_LEAST_CONNECTING_SECONDS, _TIMES_THE_LONGEST_CONNECTING * longest_seconds)
        patience_seconds = min(patience_seconds, scaled_seconds)
    return any(
        loop_time() - at_ns / _NS_PER_SECOND < patience_seconds
        for token, at_ns in issued_at_ns.items()
        if token not in used_at_ns
    )
