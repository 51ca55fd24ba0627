"""Yields the audio, motion and other events that a relay's client hands to its decoder, on any wire."""

from collections.abc import Iterator

from spatius_sim.trace.events import Closed, Event, Lane, Received, Sent, Trace
from spatius_sim.wires.events import Audio, RelayEvent, Speak, SpeakEnd
from spatius_sim.wires.optional_features import AUDIO, END_MARKS


def client_hears(
    trace: Trace, since: int = 0, until: int | None = None
) -> Iterator[tuple[Event, RelayEvent]]:
    """Yield the input of the clients' decoders: the audio, motion and other messages of a relay from event
    `since` to before event `until`, each with the event that brought it.

    If a relay returns no audio, its client plays the audio that it sent itself. If the wire has no end marks,
    the close of a connection ends audio that is still open."""
    plays_own_audio = AUDIO in trace.header.lacks
    close_ends_audio = END_MARKS in trace.header.lacks
    open_audio: dict[str, str] = {}
    for event in trace.events[since:until]:
        if event.lane is not Lane.DOWNSTREAM:
            continue
        for decoded in _events_for_decoder(event, plays_own_audio):
            if isinstance(decoded, Audio):
                open_audio.pop(event.connection, None)
                if not decoded.last:
                    open_audio[event.connection] = decoded.turn_id
            yield event, decoded
        closed_by_relay = isinstance(event.content, Closed) and not event.content.by_kit
        if close_ends_audio and closed_by_relay and event.connection in open_audio:
            yield event, Audio(b"", last=True, turn_id=open_audio.pop(event.connection))


def _events_for_decoder(event: Event, plays_own_audio: bool) -> Iterator[RelayEvent]:
    """Yield what a client hands to its decoder because of this event: what the relay sent or, if the client
    plays its own audio, the audio that the client sent."""
    match event.content:
        case Received(value=Audio()) if plays_own_audio:
            return
        case Received(value=relay_event) if isinstance(relay_event, RelayEvent):
            yield relay_event
        case Sent(value=Speak(pcm, last)) if plays_own_audio:
            yield Audio(pcm, last)
        case Sent(value=SpeakEnd()) if plays_own_audio:
            yield Audio(b"", last=True)
