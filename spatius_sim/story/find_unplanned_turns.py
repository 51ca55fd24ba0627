"""Finds the turns of a client that is not the kit's, from what the client sent and received."""

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
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, Motion, PlayClip, Ready, Say, Speak, SpeakEnd, Start
from spatius_sim.wires.lacking_features import AUDIO, END_MARKS

WAIT_NS = 10_000_000_000
"""What has not come this long after the latest event of its turn counts as missing."""

_USUAL_RATE = 16000
"""The sample rate in Hz if the trace names none (ASSUMED)."""


@dataclass(slots=True)
class _Utterance:
    """A turn that was found. `place` is the index of its start among the events; `at_ns` and
    `last_sign_ns` are the times of its first and of its latest event."""

    client: str
    number: int
    place: int
    at_ns: int
    rate: int
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    sent_all: bool = False
    """Whether the client has sent all its audio; true from the start if the relay began the turn."""
    audio_ended: bool = False
    motion_ended: bool = False
    last_sign_ns: int = 0


def utterances(trace: Trace) -> Iterator[Event]:
    """Yield the events of the trace, with the starts and ends of the utterances of its clients added as
    turns. A turn begins when a client speaks after the turn before, or when audio comes to a client that
    has said nothing. The turn ends when its audio and motion were marked as ended, or WAIT_NS after its
    latest event."""
    lacks = trace.header.lacks
    finder = _UtteranceFinder(plays_own_audio=AUDIO in lacks, close_ends_audio=END_MARKS in lacks)
    for event in trace.events:
        finder.add_event(event)
    yield from finder.events()


class _UtteranceFinder:
    """Takes the events of a trace in order; `events` returns them with the turns that were found."""

    def __init__(self, *, plays_own_audio: bool, close_ends_audio: bool) -> None:
        """Begin without utterances. `plays_own_audio`: the client plays the audio that it sends.
        `close_ends_audio`: a close by the relay marks the audio as ended."""
        self._plays_own_audio, self._close_ends_audio = plays_own_audio, close_ends_audio
        self._events: list[Event] = []
        self._turns: list[_Utterance] = []
        self._open_turns: dict[str, _Utterance] = {}
        self._rates: dict[str, int] = {}

    def add_event(self, event: Event) -> None:
        """Take the next event of the trace; the event may begin or end an utterance, that is, a turn of a
        client. First end the utterances that have waited for too long."""
        for open_turn in list(self._open_turns.values()):
            if open_turn.sent_all and event.at_ns > open_turn.last_sign_ns + WAIT_NS:
                self._end_wait(open_turn, open_turn.last_sign_ns + WAIT_NS, complete=False)
        if event.lane is not Lane.DOWNSTREAM:
            self._events.append(event)
            return
        self._take_downstream(event, event.connection)
        self._events.append(event)
        turn = self._open_turns.get(event.connection)
        if turn is None:
            return
        turn.last_sign_ns = event.at_ns
        audio_ended = turn.sent_all if self._plays_own_audio else turn.audio_ended
        if turn.sent_all and audio_ended and turn.motion_ended:
            self._end_wait(turn, event.at_ns, complete=True)
        elif isinstance(event.content, Closed):
            del self._open_turns[event.connection]

    def _take_downstream(self, event: Event, client: str) -> None:
        """Add what a client sent or received in this event to the utterance (the turn) that was found for it,
        and note which end marks came. The client's speech begins an utterance, and so does audio from the
        relay."""
        turn = self._open_turns.get(client)
        if isinstance(event.content, Closed) and turn is not None:
            turn.audio_ended |= self._close_ends_audio and not event.content.by_kit
        match event.content.value if isinstance(event.content, Sent | Received) else None:
            case Start(sample_rate=rate) | Ready(input_sample_rate=rate) if rate:
                self._rates[client] = rate
            case Speak(pcm, last):
                speaking_turn = self._speaking_turn(event)
                speaking_turn.sent += pcm
                speaking_turn.sent_all |= last
            case SpeakEnd() | PlayClip() | Say():
                self._speaking_turn(event).sent_all = True
            case Audio(pcm, last) if not self._plays_own_audio and (pcm or turn is not None):
                hearing_turn = turn or self._begin_turn(event, sent_all=True)
                hearing_turn.received += pcm
                hearing_turn.audio_ended |= last
            case Motion(payloads, last) if turn is not None:
                messages = map(read_upstream, payloads)
                ends = any(isinstance(message, MotionResponse) and message.end for message in messages)
                turn.motion_ended |= last or ends

    def events(self) -> list[Event]:
        """Return all events of the trace, with the start of a turn before each utterance that was found. The
        speech of such a turn is the audio that the client sent or, if it sent none, the audio that it
        received."""
        for turn in self._turns:
            pcm = bytes(turn.sent or turn.received)
            started = TurnStarted(turn.number, pcm, turn.rate)
            self._events[turn.place] = Event(0, turn.at_ns, Lane.KIT, turn.client, started)
        return self._events

    def _speaking_turn(self, event: Event) -> _Utterance:
        """Return the open turn of the client that speaks in this event; begin a turn first if none is open,
        or if the client has already sent all the audio of the open turn."""
        turn = self._open_turns.get(event.connection)
        return self._begin_turn(event) if turn is None or turn.sent_all else turn

    def _begin_turn(self, event: Event, *, sent_all: bool = False) -> _Utterance:
        """Begin a turn, because a client that is not the kit's begins an utterance in `event`. Put a
        placeholder before `event` in the list of events."""
        client = event.connection
        number = sum(turn.client == client for turn in self._turns)
        rate = self._rates.get(client, _USUAL_RATE)
        turn = _Utterance(client, number, len(self._events), event.at_ns, rate, sent_all=sent_all)
        self._turns.append(turn)
        self._open_turns[client] = turn
        # A placeholder: `events` puts the start of the turn here, once all of its speech is known.
        self._events.append(event)
        return turn

    def _end_wait(self, turn: _Utterance, at_ns: int, *, complete: bool) -> None:
        """Add an event that ends the wait for this turn, and close the turn."""
        wait = WaitEnded(Awaited.TURN, complete, turn.number)
        self._events.append(Event(0, at_ns, Lane.KIT, turn.client, wait))
        del self._open_turns[turn.client]
