"""What the decoder of a relay's client is given, in arrival order, on whatever wire."""

from collections.abc import Iterator

from spatius_sim.trace.events import Closed, Event, Lane, Received, Sent, Trace
from spatius_sim.wires.events import Audio, RelayEvent, Speak, SpeakEnd
from spatius_sim.wires.features import AUDIO, END_MARKS


def client_hears(
    trace: Trace, since: int = 0, until: int | None = None
) -> Iterator[tuple[Event, RelayEvent]]:
    """Of the events with these numbers those that a decoder learns of. Where a relay returns no audio, its
    client plays what it sent itself; where closing is the end mark, it marks the audio that is still open."""
    plays_its_own = AUDIO in trace.header.lacks
    closing_marks = END_MARKS in trace.header.lacks
    unmarked: dict[str, str] = {}
    for event in trace.events[since:until]:
        if event.lane is not Lane.DOWNSTREAM:
            continue
        for said in _said(event, plays_its_own):
            if isinstance(said, Audio):
                unmarked.pop(event.connection, None)
                if not said.last:
                    unmarked[event.connection] = said.turn_id
            yield event, said
        closed = isinstance(event.what, Closed) and not event.what.by_kit
        if closing_marks and closed and event.connection in unmarked:
            yield event, Audio(b"", last=True, turn_id=unmarked.pop(event.connection))


def _said(event: Event, plays_its_own: bool) -> Iterator[RelayEvent]:
    match event.what:
        case Received(value=Audio()) if plays_its_own:
            return
        case Received(value=said) if isinstance(said, RelayEvent):
            yield said
        case Sent(value=Speak(pcm, last)) if plays_its_own:
            yield Audio(pcm, last)
        case Sent(value=SpeakEnd()) if plays_its_own:
            yield Audio(b"", last=True)
