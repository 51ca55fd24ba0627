"""Tries a wire on a live relay, and shows in words what each frame means on this wire."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, speech
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.subjects.relay.http_client import DocumentClient
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

    `understood` and `unclear` count the frames that the wire understands and does not understand. `kinds` are
    the names of their events."""

    understood: int = 0
    unclear: int = 0
    kinds: set[str] = field(default_factory=set)

    @property
    def fits(self) -> bool:
        """Whether every frame was understood, and motion came."""
        return not self.unclear and Motion.__name__ in self.kinds

    def in_words(self) -> str:
        """Return in one line how well the wire that was tried fits the relay, and what the user can do."""
        total = self.understood + self.unclear
        if not total:
            return "the relay said nothing: does it wait for a start message that the file does not declare?"
        counts = f"{self.understood} of {total} messages were understood"
        if self.unclear:
            return f"{counts}: the others need a message in the file, be it a note"
        if Motion.__name__ not in self.kinds:
            return f"{counts}, but no motion came: does the relay reach a Motion Server?"
        return f"{counts}, motion among them: the wire fits"


async def try_wire(
    wire: Wire,
    address: RelayAddress,
    *,
    seconds: float,
    samples: int,
    say: Callable[[str], None],
    starts: TurnStart | None = None,
) -> WireFit:
    """Try a wire on a live relay: connect, speak so many samples (0: only listen), and return how well the
    wire fits. If the relay chooses the speech, `starts` starts a turn in their place.

    `say` gets a line for each frame. This ends when the relay is silent for so many seconds, or hangs up.
    Raises UnreachableError if the relay takes no connection.
    """
    wire_fit = WireFit()

    def show_event(event: Event) -> None:
        """Count an event of the trial, and give its line to `say`."""
        line = _describe_event(event, wire_fit)
        if event.lane is Lane.DOWNSTREAM and line:
            say(line)

    recorder = RealTimeRecorder(wire=wire, on_event=show_event)
    kind = RelayClient if address.url.startswith("ws") else DocumentClient
    async with kind(address, wire, recorder, "client") as client:
        greeting = await client.start(PLAN_SAMPLE_RATE, _GREETING_SECONDS if wire.greets else 0.0)
        if starts is not None:
            session = greeting.session_id if isinstance(greeting, Ready) else ""
            await starts.start(client, TurnToStart("client", 0, session, b"", PLAN_SAMPLE_RATE))
        elif samples:
            for chunk in chunks(speech("trying a wire", samples), _CHUNK_BYTES):
                await client.do(Speak(chunk))
            await client.do(SpeakEnd())
        while not client.closed.is_set():
            recorder.changed.clear()
            try:
                await asyncio.wait_for(recorder.changed.wait(), seconds)
            except TimeoutError:
                break
    return wire_fit


def _describe_event(event: Event, wire_fit: WireFit) -> str:
    """Return in words what an event of the trial means on the wire that is tried; "" for an event that is not
    shown. Count in `wire_fit` whether the wire could read the message."""
    match event.content:
        case Opened():
            return "connected"
        case Closed(by_kit, code):
            return f"closed by {'us' if by_kit else 'the relay'}, code {code}"
        case Sent(raw, value):
            return f"-> {_abbreviate_frame(raw)}  {_describe_value(value)}"
        case Received(raw, value, part):
            wire_fit.kinds.add(type(value).__name__)
            if isinstance(value, NotUnderstood):
                wire_fit.unclear += 1
                fault = f"NOT UNDERSTOOD: {value.reason}\n   {raw[:_LONGEST_FRAME]!a}"
                return f"<- {_abbreviate_frame(raw)}  {fault}"
            wire_fit.understood += not part
            return f"<- {_abbreviate_frame(raw)}  {'and ' if part else ''}{_describe_value(value)}"
    return ""


def _abbreviate_frame(raw: Frame) -> str:
    """Return the kind and the length of a frame on the wire, in columns."""
    if isinstance(raw, str):
        return f"text   {len(raw):7} characters"
    return f"binary {len(raw):7} bytes     "


def _describe_value(value: object) -> str:
    """Return in words what one message means on the wire that is tried."""
    match value:
        case Ready(session_id, output_rate, input_rate):
            session = f"session {_abbreviate(session_id)}, " if session_id else ""
            return f"ready: {session}audio at {output_rate} Hz, takes {input_rate} Hz"
        case Audio(pcm, last, turn_id):
            return f"audio: {len(pcm)} bytes{_describe_marks(last, turn_id)}"
        case Motion(payloads, last, turn_id):
            not_motion = sum(not isinstance(read_upstream(payload), MotionResponse) for payload in payloads)
            doubt = f", {not_motion} OF THEM NO ENVELOPE OF MOTION SERVER" if not_motion else ""
            return f"motion: {len(payloads)} payloads{doubt}{_describe_marks(last, turn_id)}"
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
    """Return in words whether a message is the last of its turn, and of which turn it is."""
    return (", the last" if last else "") + (f", of turn {_abbreviate(turn_id)}" if turn_id else "")


def _abbreviate(text: str) -> str:
    """Return the text, shortened if it is long."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
