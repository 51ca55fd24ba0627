"""Finds the turns of a client whose intent nobody recorded, from what the client said and heard."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from spatius_sim.protocol.messages import MotionResponse
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
from spatius_sim.trace.reading import read_upstream
from spatius_sim.wires.events import Audio, Motion, PlayClip, Ready, Say, Speak, SpeakEnd, Start
from spatius_sim.wires.features import AUDIO, END_MARKS

WAIT_NS = 10_000_000_000
"""What has not come this long after the last sign of its turn counts as missing."""

_USUAL_RATE = 16000
"""The sample rate in Hz if nobody names one (ASSUMED)."""


@dataclass(slots=True)
class _Utterance:
    """One turn as far as it is known. `place` is its index among the events, `at_ns` and `last_sign_ns` are
    when it began and when anything of it last came."""

    client: str
    number: int
    place: int
    at_ns: int
    rate: int
    spoken: bytearray = field(default_factory=bytearray)
    heard: bytearray = field(default_factory=bytearray)
    said_all: bool = False
    """Whether the client has said all; true from the start if the relay began the turn."""
    audio_ended: bool = False
    motion_ended: bool = False
    last_sign_ns: int = 0


def utterances(trace: Trace) -> Iterator[Event]:
    """Yield the events of the trace, with the turns of its clients put in. A turn begins with the first thing
    that a client says after the end of the turn before, or else with the first audio that the client hears.
    The wait for the turn ends when audio and motion were marked as ended, or WAIT_NS after the last sign of
    the turn."""
    lacks = trace.header.lacks
    finder = _UtteranceFinder(plays_its_own=AUDIO in lacks, closing_marks=END_MARKS in lacks)
    for event in trace.events:
        finder.add_event(event)
    yield from finder.events()


class _UtteranceFinder:
    """Takes events in order and finds turns among them; `events` returns them all."""

    def __init__(self, *, plays_its_own: bool, closing_marks: bool) -> None:
        self._plays_its_own, self._closing_marks = plays_its_own, closing_marks
        self._events: list[Event] = []
        self._turns: list[_Utterance] = []
        self._open_turns: dict[str, _Utterance] = {}
        self._rates: dict[str, int] = {}

    def add_event(self, event: Event) -> None:
        """Take the next event: end the waits that are too long by then, and learn what the event tells."""
        for late in list(self._open_turns.values()):
            if late.said_all and event.at_ns > late.last_sign_ns + WAIT_NS:
                self._end_wait(late, late.last_sign_ns + WAIT_NS, complete=False)
        if event.lane is not Lane.DOWNSTREAM:
            self._events.append(event)
            return
        self._take_downstream(event, event.connection)
        self._events.append(event)
        turn = self._open_turns.get(event.connection)
        if turn is None:
            return
        turn.last_sign_ns = event.at_ns
        audio_ended = turn.said_all if self._plays_its_own else turn.audio_ended
        if turn.said_all and audio_ended and turn.motion_ended:
            self._end_wait(turn, event.at_ns, complete=True)
        elif isinstance(event.what, Closed):
            del self._open_turns[event.connection]

    def _take_downstream(self, event: Event, client: str) -> None:
        """Learn from one event of a client what was said and heard, and what was marked as ended."""
        turn = self._open_turns.get(client)
        if isinstance(event.what, Closed) and turn is not None:
            turn.audio_ended |= self._closing_marks and not event.what.by_kit
        match event.what.value if isinstance(event.what, Sent | Received) else None:
            case Start(sample_rate=rate) | Ready(input_sample_rate=rate) if rate:
                self._rates[client] = rate
            case Speak(pcm, last):
                speaking = self._speaking_turn(event)
                speaking.spoken += pcm
                speaking.said_all |= last
            case SpeakEnd() | PlayClip() | Say():
                self._speaking_turn(event).said_all = True
            case Audio(pcm, last) if not self._plays_its_own and (pcm or turn is not None):
                hearing = turn or self._begin_turn(event, said_all=True)
                hearing.heard += pcm
                hearing.audio_ended |= last
            case Motion(payloads, last) if turn is not None:
                read = map(read_upstream, payloads)
                ends = any(isinstance(message, MotionResponse) and message.end for message in read)
                turn.motion_ended |= last or ends

    def events(self) -> list[Event]:
        """Return all events, each turn with its speech: what the client said or, if it said none, what it
        heard."""
        for turn in self._turns:
            pcm = bytes(turn.spoken or turn.heard)
            started = TurnStarted(turn.number, pcm, turn.rate)
            self._events[turn.place] = Event(0, turn.at_ns, Lane.KIT, turn.client, started)
        return self._events

    def _speaking_turn(self, event: Event) -> _Utterance:
        """Return the turn to which the client's words belong: its open one, or a new one if it had said
        all."""
        turn = self._open_turns.get(event.connection)
        return self._begin_turn(event) if turn is None or turn.said_all else turn

    def _begin_turn(self, event: Event, *, said_all: bool = False) -> _Utterance:
        """Begin a turn of this client, and keep a place for its event before `event`."""
        client = event.connection
        number = sum(turn.client == client for turn in self._turns)
        rate = self._rates.get(client, _USUAL_RATE)
        turn = _Utterance(client, number, len(self._events), event.at_ns, rate, said_all=said_all)
        self._turns.append(turn)
        self._open_turns[client] = turn
        self._events.append(
            event
        )  # A placeholder: `events` puts the turn here, once all of its speech is known.
        return turn

    def _end_wait(self, turn: _Utterance, at_ns: int, *, complete: bool) -> None:
        wait = WaitEnded(Awaited.TURN, complete, turn.number)
        self._events.append(Event(0, at_ns, Lane.KIT, turn.client, wait))
        del self._open_turns[turn.client]
