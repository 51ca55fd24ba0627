"""Tells what the decoder of a relay's client is given, in arrival order, on any wire."""

from collections.abc import Iterator

from spatius_sim.trace.events import Closed, Event, Lane, Received, Sent, Trace
from spatius_sim.wires.events import Audio, RelayEvent, Speak, SpeakEnd
from spatius_sim.wires.features import AUDIO, END_MARKS


def client_hears(
    trace: Trace, since: int = 0, until: int | None = None
) -> Iterator[tuple[Event, RelayEvent]]:
    """Yield what decoders are given between the events `since` and `until`, each with its event. If a relay
    returns no audio, its client plays what the client sent itself. If closing the connection is the end mark,
    a close marks the audio that is still open."""
    plays_its_own = AUDIO in trace.header.lacks
    closing_marks = END_MARKS in trace.header.lacks
    open_audio: dict[str, str] = {}
    for event in trace.events[since:until]:
        if event.lane is not Lane.DOWNSTREAM:
            continue
        for given in _given_to_decoder(event, plays_its_own):
            if isinstance(given, Audio):
                open_audio.pop(event.connection, None)
                if not given.last:
                    open_audio[event.connection] = given.turn_id
            yield event, given
        closed = isinstance(event.what, Closed) and not event.what.by_kit
        if closing_marks and closed and event.connection in open_audio:
            yield event, Audio(b"", last=True, turn_id=open_audio.pop(event.connection))


def _given_to_decoder(event: Event, plays_its_own: bool) -> Iterator[RelayEvent]:
    """Yield what one frame gives to the decoder: what the relay sent or, if the client plays its own audio,
    that audio."""
    match event.what:
        case Received(value=Audio()) if plays_its_own:
            return
        case Received(value=given) if isinstance(given, RelayEvent):
            yield given
        case Sent(value=Speak(pcm, last)) if plays_its_own:
            yield Audio(pcm, last)
        case Sent(value=SpeakEnd()) if plays_its_own:
            yield Audio(b"", last=True)
