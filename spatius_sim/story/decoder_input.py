"""Yields the audio, motion and other events that a relay's client hands to its decoder, on any wire."""

from collections.abc import Iterator

from spatius_sim.trace.events import Closed, Event, Lane, Received, Sent, Trace
from spatius_sim.wires.events import Audio, RelayEvent, Speak, SpeakEnd
from spatius_sim.wires.optional_features import AUDIO, END_MARKS


def yield_decoder_input(
    trace: Trace, first_seq: int = 0, end_seq: int | None = None
) -> Iterator[tuple[Event, RelayEvent]]:
    """Yield what a relay's clients hand to their decoders: audio, motion and other messages, each with the
    event that brought it. Only the events from number `first_seq` to before `end_seq` count (None: all that
    follow).

    If the relay returns no audio, its client plays the audio that it sent itself. If the wire (the message
    format) has no end marks, audio that is still open ends when the relay closes the connection."""
    plays_own_audio = AUDIO in trace.header.lacks
    close_ends_audio = END_MARKS in trace.header.lacks
    open_turn_ids: dict[str, str] = {}
    for event in trace.events[first_seq:end_seq]:
        if event.lane is not Lane.DOWNSTREAM:
            continue
        for relay_event in _yield_input_of_event(event, plays_own_audio):
            if isinstance(relay_event, Audio):
                open_turn_ids.pop(event.connection, None)
                if not relay_event.last:
                    open_turn_ids[event.connection] = relay_event.turn_id
            yield event, relay_event
        closed_by_relay = isinstance(event.content, Closed) and not event.content.by_kit
        if close_ends_audio and closed_by_relay and event.connection in open_turn_ids:
            yield event, Audio(b"", last=True, turn_id=open_turn_ids.pop(event.connection))


def _yield_input_of_event(event: Event, plays_own_audio: bool) -> Iterator[RelayEvent]:
    """Yield the decoder input of this event: what a client hands to its decoder because of it, which is the
    message that the relay sent.

    If the client plays its own audio, audio from the relay is left out, and the audio that the client sent is
    handed over instead."""
    match event.content:
        case Received(value=Audio()) if plays_own_audio:
            return
        case Received(value=relay_event) if isinstance(relay_event, RelayEvent):
            yield relay_event
        case Sent(value=Speak(pcm, last)) if plays_own_audio:
            yield Audio(pcm, last)
        case Sent(value=SpeakEnd()) if plays_own_audio:
            yield Audio(b"", last=True)
