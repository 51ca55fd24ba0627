"""Finds the unplanned turns in a trace, those of clients that are not the kit's, and adds them to it. Such a
trace is the recording of a proxy, or of such a client."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.story.join_requests import join_speech_of_requests
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Received,
    Sent,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import (
    Audio,
    Motion,
    PlayClip,
    Ready,
    Say,
    Speak,
    SpeakEnd,
    Start,
)
from spatius_sim.wires.optional_features import AUDIO, END_MARKS

WAIT_NS = 10_000_000_000
"""What has not come this long after the latest event of its turn counts as missing."""

_USUAL_RATE = 16000
"""The sample rate in Hz if the trace names none (ASSUMED)."""


@dataclass(slots=True)
class _OpenRequest:
    """A request with motion still to come. `last_sign_ns` is the time of its latest event."""

    connection: str
    number: int
    ended: bool = False
    last_sign_ns: int = 0


def add_observed_turns(trace: Trace) -> Trace:
    """Return the trace with events added for the start and the end of each unplanned turn: one turn for each
    request that was observed. A trace in which the kit itself began (planned) turns is returned as it is.

    A turn begins at the first audio of its request. The wait for it ends with its last motion, or WAIT_NS
    after its latest event while its connection is open. If only the client's side was seen, turns are found
    from its audio."""
    if any(isinstance(event.content, TurnStarted) for event in trace.events):
        return trace
    numberless_events = (
        _add_turns_from_audio(trace) if trace.header.halves == "downstream" else _add_request_turns(trace)
    )
    events = tuple(replace(event, seq=seq) for seq, event in enumerate(numberless_events))
    return replace(trace, events=events)


def _add_request_turns(trace: Trace) -> Iterator[Event]:
    """Yield the events of the trace, with the start and the end of an unplanned turn around each request. The
    added events have the sequence number 0."""
    speech = join_speech_of_requests(trace)
    rates: dict[str, int] = {}
    numbers: dict[str, int] = {}
    waiting: dict[tuple[str, str], _OpenRequest] = {}
    for event in trace.events:
        for key, late in list(waiting.items()):
            if late.ended and event.at_ns > late.last_sign_ns + WAIT_NS:
                yield _make_turn_event(
                    late.last_sign_ns + WAIT_NS,
                    late,
                    WaitEnded(Awaited.TURN, complete=False, turn=late.number),
                )
                del waiting[key]
        message = event.content.value if isinstance(event.content, Sent | Received) else None
        finished: _OpenRequest | None = None
        match message:
            case ConfigureSession(sample_rate=rate):
                rates[event.connection] = rate
            case AudioInput(req_id, _, end):
                key = (event.connection, req_id)
                if key in speech:
                    number = numbers[event.connection] = numbers.get(event.connection, -1) + 1
                    waiting[key] = _OpenRequest(event.connection, number)
                    rate = rates.get(event.connection, 0)
                    started = TurnStarted(number, bytes(speech.pop(key)), rate)
                    yield _make_turn_event(event.at_ns, waiting[key], started)
                if key in waiting:
                    waiting[key].ended |= end
                    waiting[key].last_sign_ns = event.at_ns
            case MotionResponse(req_id=req_id, end=end) if (event.connection, req_id) in waiting:
                key = (event.connection, req_id)
                waiting[key].last_sign_ns = event.at_ns
                finished = waiting.pop(key) if end and waiting[key].ended else None
        if isinstance(event.content, Closed):
            waiting = {key: request for key, request in waiting.items() if key[0] != event.connection}
        yield event
        if finished is not None:
            yield _make_turn_event(
                event.at_ns, finished, WaitEnded(Awaited.TURN, complete=True, turn=finished.number)
            )


def _make_turn_event(at_ns: int, request: _OpenRequest, content: TurnStarted | WaitEnded) -> Event:
    """Return an event that starts or ends the unplanned turn of a request, as if the kit had planned it.
    `add_observed_turns` numbers the event later."""
    return Event(0, at_ns, Lane.KIT, request.connection, content)


@dataclass(slots=True)
class _ObservedTurn:
    """An unplanned turn that was found. `start_index` is the index of its start among the events; `at_ns` and
    `last_sign_ns` are the times of its first and of its latest event."""

    client: str
    number: int
    start_index: int
    at_ns: int
    rate: int
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    sent_all: bool = False
    """Whether the client has sent all its audio; true from the start if the relay began the turn."""
    audio_ended: bool = False
    motion_ended: bool = False
    last_sign_ns: int = 0


def _add_turns_from_audio(trace: Trace) -> Iterator[Event]:
    """Yield the events of the trace, with a start and an end of each unplanned turn that the audio of its
    clients shows. A turn begins when a client speaks after its previous turn has ended, or when audio comes
    to a client that has said nothing.

    The turn ends when its audio and motion were marked as ended, or WAIT_NS after its latest event."""
    lacks = trace.header.lacks
    finder = _TurnFinder(plays_own_audio=AUDIO in lacks, close_ends_audio=END_MARKS in lacks)
    for event in trace.events:
        finder.add_event(event)
    yield from finder.list_events_and_turns()


class _TurnFinder:
    """Finds unplanned turns: takes the events of a trace in order, and `list_events_and_turns` returns them
    with the turns that were found in them."""

    def __init__(self, *, plays_own_audio: bool, close_ends_audio: bool) -> None:
        """Begin to look for unplanned turns, without events and without turns: `add_event` takes the events
        of a trace, and finds in them where each client's turns begin and end.

        `plays_own_audio`: the client plays the audio that it sends. `close_ends_audio`: audio counts as ended
        when the relay closes the connection."""
        self._plays_own_audio, self._close_ends_audio = plays_own_audio, close_ends_audio
        self._events: list[Event] = []
        self._turns: list[_ObservedTurn] = []
        self._open_turns: dict[str, _ObservedTurn] = {}
        self._rates: dict[str, int] = {}

    def add_event(self, event: Event) -> None:
        """Take the next event of the trace, and let it begin or end a turn of its client. First end each turn
        whose client has sent all its speech, and whose latest event is more than WAIT_NS ago.

        A turn is complete when all its audio and motion have ended. A turn whose connection closes gets no
        end."""
        for open_turn in list(self._open_turns.values()):
            if open_turn.sent_all and event.at_ns > open_turn.last_sign_ns + WAIT_NS:
                self._end_turn(open_turn, open_turn.last_sign_ns + WAIT_NS, complete=False)
        if event.lane is not Lane.DOWNSTREAM:
            self._events.append(event)
            return
        self._note_downstream_event(event, event.connection)
        self._events.append(event)
        turn = self._open_turns.get(event.connection)
        if turn is None:
            return
        turn.last_sign_ns = event.at_ns
        audio_ended = turn.sent_all if self._plays_own_audio else turn.audio_ended
        if turn.sent_all and audio_ended and turn.motion_ended:
            self._end_turn(turn, event.at_ns, complete=True)
        elif isinstance(event.content, Closed):
            del self._open_turns[event.connection]

    def _note_downstream_event(self, event: Event, client: str) -> None:
        """Note in the client's turn what this event brought: audio that the client sent or received, and end
        marks. The client's speech begins a turn if none is open. So does audio from the relay, unless the
        client plays the audio that it sent itself."""
        turn = self._open_turns.get(client)
        if isinstance(event.content, Closed) and turn is not None:
            turn.audio_ended |= self._close_ends_audio and not event.content.by_kit
        match event.content.value if isinstance(event.content, Sent | Received) else None:
            case Start(sample_rate=rate) | Ready(input_sample_rate=rate) if rate:
                self._rates[client] = rate
            case Speak(pcm, last):
                speaking_turn = self._find_or_begin_speaking_turn(event)
                speaking_turn.sent += pcm
                speaking_turn.sent_all |= last
            case SpeakEnd() | PlayClip() | Say():
                self._find_or_begin_speaking_turn(event).sent_all = True
            case Audio(pcm, last) if not self._plays_own_audio and (pcm or turn is not None):
                hearing_turn = turn or self._begin_turn(event, sent_all=True)
                hearing_turn.received += pcm
                hearing_turn.audio_ended |= last
            case Motion(payloads, last) if turn is not None:
                messages = map(read_upstream, payloads)
                ends = any(isinstance(message, MotionResponse) and message.end for message in messages)
                turn.motion_ended |= last or ends

    def list_events_and_turns(self) -> list[Event]:
        """Return all events of the trace, with the start and the end of each turn that was found. The speech
        of a turn is the audio that the client sent or, if it sent none, the audio that it received."""
        # `_end_turn` has added the ends. Each start takes the place that `_begin_turn` kept for it.
        for turn in self._turns:
            pcm = bytes(turn.sent or turn.received)
            started = TurnStarted(turn.number, pcm, turn.rate)
            self._events[turn.start_index] = Event(0, turn.at_ns, Lane.KIT, turn.client, started)
        return self._events

    def _find_or_begin_speaking_turn(self, event: Event) -> _ObservedTurn:
        """Return the open turn of the client that speaks in this event; begin a turn first if none is open,
        or if the client has already sent all the audio of the open turn."""
        turn = self._open_turns.get(event.connection)
        return self._begin_turn(event) if turn is None or turn.sent_all else turn

    def _begin_turn(self, event: Event, *, sent_all: bool = False) -> _ObservedTurn:
        """Begin a turn of the event's client, and return it. `sent_all`: the client has no speech to send in
        this turn. Keep a place in the list of events for the start of the turn."""
        client = event.connection
        number = sum(turn.client == client for turn in self._turns)
        rate = self._rates.get(client, _USUAL_RATE)
        turn = _ObservedTurn(client, number, len(self._events), event.at_ns, rate, sent_all=sent_all)
        self._turns.append(turn)
        self._open_turns[client] = turn
        # `list_events_and_turns` replaces this copy of the event by the start of the turn, as soon as all of
        # the turn's speech is known.
        self._events.append(event)
        return turn

    def _end_turn(self, turn: _ObservedTurn, at_ns: int, *, complete: bool) -> None:
        """End this turn: add an event that ends the wait for it, and take it from the open turns."""
        wait = WaitEnded(Awaited.TURN, complete, turn.number)
        self._events.append(Event(0, at_ns, Lane.KIT, turn.client, wait))
        del self._open_turns[turn.client]
