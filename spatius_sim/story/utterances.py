"""Turns of a client that told nobody what it meant to say: from what it said, and what it heard."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.events import Closed, Event, Lane, Received, Sent, Trace, TurnStarted, WaitEnded
from spatius_sim.trace.reading import read_upstream
from spatius_sim.wires.events import Audio, Motion, PlayClip, Ready, Say, Speak, SpeakEnd, Start
from spatius_sim.wires.features import AUDIO, END_MARKS

WAIT_NS = 10_000_000_000
"""What has not come for so long after the last sign of its turn counts as missing."""

_USUAL_RATE = 16000
"""Where nobody names one. ASSUMED."""


@dataclass(slots=True)
class _Utterance:
    client: str
    number: int
    place: int
    at_ns: int
    rate: int
    spoken: bytearray = field(default_factory=bytearray)
    heard: bytearray = field(default_factory=bytearray)
    said: bool = False
    """Whether the client has said all; true where it was the relay that began."""
    audio_ended: bool = False
    motion_ended: bool = False
    last_sign_ns: int = 0


def utterances(trace: Trace) -> Iterator[Event]:
    """The events of the trace among the turns of its clients. A turn begins with the first that a client says
    behind the end of the turn before, or else with the first audio that it hears; the wait for it ends when
    audio and motion were marked as ended, or WAIT_NS after its last sign."""
    lacks = trace.header.lacks
    told = _Telling(plays_its_own=AUDIO in lacks, closing_marks=END_MARKS in lacks)
    for event in trace.events:
        told.take(event)
    yield from told.events()


class _Telling:
    def __init__(self, *, plays_its_own: bool, closing_marks: bool) -> None:
        self._plays_its_own, self._closing_marks = plays_its_own, closing_marks
        self._events: list[Event] = []
        self._all: list[_Utterance] = []
        self._open: dict[str, _Utterance] = {}
        self._rates: dict[str, int] = {}

    def take(self, event: Event) -> None:
        for late in list(self._open.values()):
            if late.said and event.at_ns > late.last_sign_ns + WAIT_NS:
                self._over(late, late.last_sign_ns + WAIT_NS, complete=False)
        if event.lane is not Lane.DOWNSTREAM:
            self._events.append(event)
            return
        self._take_from(event, event.connection)
        self._events.append(event)
        turn = self._open.get(event.connection)
        if turn is None:
            return
        turn.last_sign_ns = event.at_ns
        audio_ended = turn.said if self._plays_its_own else turn.audio_ended
        if turn.said and audio_ended and turn.motion_ended:
            self._over(turn, event.at_ns, complete=True)
        elif isinstance(event.what, Closed):
            del self._open[event.connection]

    def _take_from(self, event: Event, client: str) -> None:
        turn = self._open.get(client)
        if isinstance(event.what, Closed) and turn is not None:
            turn.audio_ended |= self._closing_marks and not event.what.by_kit
        match event.what.value if isinstance(event.what, Sent | Received) else None:
            case Start(sample_rate=rate) | Ready(input_sample_rate=rate) if rate:
                self._rates[client] = rate
            case Speak(pcm, last):
                speaking = self._speaking(event)
                speaking.spoken += pcm
                speaking.said |= last
            case SpeakEnd() | PlayClip() | Say():
                self._speaking(event).said = True
            case Audio(pcm, last) if not self._plays_its_own and (pcm or turn is not None):
                hearing = turn or self._begins(event, said=True)
                hearing.heard += pcm
                hearing.audio_ended |= last
            case Motion(payloads, last) if turn is not None:
                read = map(read_upstream, payloads)
                ends = any(isinstance(message, MotionResponse) and message.end for message in read)
                turn.motion_ended |= last or ends

    def events(self) -> list[Event]:
        """All, with what each turn was about."""
        for turn in self._all:
            pcm = bytes(turn.spoken or turn.heard)
            started = TurnStarted(turn.number, pcm, turn.rate)
            self._events[turn.place] = Event(0, turn.at_ns, Lane.KIT, turn.client, started)
        return self._events

    def _speaking(self, event: Event) -> _Utterance:
        """The turn to which what the client says belongs."""
        turn = self._open.get(event.connection)
        return self._begins(event) if turn is None or turn.said else turn

    def _begins(self, event: Event, *, said: bool = False) -> _Utterance:
        client = event.connection
        number = sum(turn.client == client for turn in self._all)
        rate = self._rates.get(client, _USUAL_RATE)
        turn = _Utterance(client, number, len(self._events), event.at_ns, rate, said=said)
        self._all.append(turn)
        self._open[client] = turn
        self._events.append(event)  # Its turn stands here as soon as it is known what was said.
        return turn

    def _over(self, turn: _Utterance, at_ns: int, *, complete: bool) -> None:
        self._events.append(Event(0, at_ns, Lane.KIT, turn.client, WaitEnded(turn.number, complete)))
        del self._open[turn.client]
