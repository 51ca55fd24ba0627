"""Tries a wire on a live relay, and shows in words what each frame means on this wire."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, speech
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.subjects.relay.http_client import HttpRelayClient
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.subjects.relay.start_turns import TurnStart, TurnToStart
from spatius_sim.subjects.wait_for_events import chunks
from spatius_sim.trace.events import Closed, Event, Lane, Opened, Received, Sent
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires import Wire
from spatius_sim.wires.events import (
    Audio,
    Failed,
    Frame,
    Interrupted,
    Motion,
    Note,
    NotUnderstood,
    Ready,
    Speak,
    SpeakEnd,
    Start,
    Unclear,
)

_CHUNK_BYTES = 6400
_LONGEST_FRAME = 80
_LONGEST_TEXT = 60
_GREETING_SECONDS = 2.0


@dataclass(slots=True)
class WireFit:
    """How well a wire fits a relay.

    `understood_count` and `unclear_count` count the relay's messages that the wire understands, and those
    that it does not. `event_names` are the kinds of event that they are on this wire."""

    understood_count: int = 0
    unclear_count: int = 0
    event_names: set[str] = field(default_factory=set)

    @property
    def fits(self) -> bool:
        """Whether every message was understood, and motion came."""
        return not self.unclear_count and Motion.__name__ in self.event_names

    def describe(self) -> str:
        """Return one line that says how well the wire (message format) fits the relay: how many messages were
        understood, whether motion came, and what the user can do."""
        total_count = self.understood_count + self.unclear_count
        if not total_count:
            return "the relay said nothing: does it wait for a start message that the file does not declare?"
        counts = f"{self.understood_count} of {total_count} messages were understood"
        if self.unclear_count:
            return f"{counts}: the others need a message in the file, be it a note"
        if Motion.__name__ not in self.event_names:
            return f"{counts}, but no motion came: does the relay reach a Motion Server?"
        return f"{counts}, motion among them: the wire fits"


async def try_wire(
    wire: Wire,
    address: RelayAddress,
    *,
    silence_seconds: float,
    sample_count: int,
    print_line: Callable[[str], None],
    turn_start: TurnStart | None = None,
) -> WireFit:
    """Try a wire (message format) on a live relay: connect, send `sample_count` samples of speech (0: only
    listen), and return how well the wire fits. If `turn_start` is given, start a turn by it, without speech.

    Call `print_line` with a line for each frame. Stop when the relay has been silent for `silence_seconds`,
    or hangs up. Raises UnreachableError if the relay takes no connection."""
    wire_fit = WireFit()

    def show_event(event: Event) -> None:
        """Count what this event says about the wire. Print its line if it is between relay and client."""
        line = _describe_event(event, wire_fit)
        if event.lane is Lane.DOWNSTREAM and line:
            print_line(line)

    recorder = RealTimeRecorder(wire=wire, on_event=show_event)
    make_client = RelayClient if address.url.startswith("ws") else HttpRelayClient
    async with make_client(address, wire, recorder, "client") as client:
        greeting = await client.start(PLAN_SAMPLE_RATE, _GREETING_SECONDS if wire.greets else 0.0)
        if turn_start is not None:
            session_id = greeting.session_id if isinstance(greeting, Ready) else ""
            await turn_start.start(client, TurnToStart("client", 0, session_id, b"", PLAN_SAMPLE_RATE))
        elif sample_count:
            for chunk in chunks(speech("trying a wire", sample_count), _CHUNK_BYTES):
                await client.do(Speak(chunk))
            await client.do(SpeakEnd())
        while not client.closed.is_set():
            recorder.changed.clear()
            try:
                await asyncio.wait_for(recorder.changed.wait(), silence_seconds)
            except TimeoutError:
                break
    return wire_fit


def _describe_event(event: Event, wire_fit: WireFit) -> str:
    """Return a line that says what this event means on the wire that is tried; "" if there is nothing to say.
    If it is a message of the relay, count in `wire_fit` whether the wire understands it."""
    match event.content:
        case Opened():
            return "connected"
        case Closed(by_kit, code):
            return f"closed by {'us' if by_kit else 'the relay'}, code {code}"
        case Sent(raw, value):
            return f"-> {_abbreviate_frame(raw)}  {_describe_value(value)}"
        case Received(raw, value, part):
            # `part` is 0 for the first event of a message, and counts up for further ones.
            wire_fit.event_names.add(type(value).__name__)
            if isinstance(value, NotUnderstood):
                wire_fit.unclear_count += 1
                fault = f"NOT UNDERSTOOD: {value.reason}\n   {raw[:_LONGEST_FRAME]!a}"
                return f"<- {_abbreviate_frame(raw)}  {fault}"
            wire_fit.understood_count += not part
            return f"<- {_abbreviate_frame(raw)}  {'and ' if part else ''}{_describe_value(value)}"
    return ""


def _abbreviate_frame(raw: Frame) -> str:
    """Return whether this frame is text or binary, and how long it is, as columns of equal width."""
    if isinstance(raw, str):
        return f"text   {len(raw):7} characters"
    return f"binary {len(raw):7} bytes     "


def _describe_value(value: object) -> str:
    """Return in words what one message means: `value` is the event that the tried wire reads from it. Other
    events are described by the name of their type."""
    match value:
        case Ready(session_id, output_rate, input_rate):
            session_part = f"session {_abbreviate(session_id)}, " if session_id else ""
            return f"ready: {session_part}audio at {output_rate} Hz, takes {input_rate} Hz"
        case Audio(pcm, last, turn_id):
            return f"audio: {len(pcm)} bytes{_describe_marks(last, turn_id)}"
        case Motion(payloads, last, turn_id):
            wrong_count = sum(not isinstance(read_upstream(payload), MotionResponse) for payload in payloads)
            warning = f", {wrong_count} OF THEM NO ENVELOPE OF MOTION SERVER" if wrong_count else ""
            return f"motion: {len(payloads)} payloads{warning}{_describe_marks(last, turn_id)}"
        case Interrupted(reason):
            return f"interrupted: {_abbreviate(reason)}"
        case Failed(message):
            return f"failed: {_abbreviate(message)}"
        case Note(kind):
            return f"a note: {_abbreviate(kind)}"
        case Start(rate):
            return f"start: audio at {rate} Hz will come"
        case Speak(pcm, last):
            return f"speech: {len(pcm)} bytes{_describe_marks(last, '')}"
        case SpeakEnd():
            return "the speech is complete"
        case Unclear(reason):
            return f"NOT READABLE BY A RELAY: {reason}"
    return type(value).__name__


def _describe_marks(last: bool, turn_id: str) -> str:
    """Return in words whether a message is the last of its turn, and of which turn it is; "" for neither."""
    return (", the last" if last else "") + (f", of turn {_abbreviate(turn_id)}" if turn_id else "")


def _abbreviate(text: str) -> str:
    """Return the text, shortened if it is long."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
