"""Finds out which of the known wires a relay speaks: from its first messages, or else from a short turn."""

import asyncio
from collections.abc import Sequence

from spatius_sim.files.wire_file import find_wire
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, speech
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.trace.events import Event, Received
from spatius_sim.trace.known_secrets import KnownSecrets
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires import Wire, published_wire, published_wire_names
from spatius_sim.wires.events import (
    Audio,
    Failed,
    Frame,
    Motion,
    NotUnderstood,
    Ready,
    RelayEvent,
    Speak,
    Start,
)

_LISTEN_SECONDS = 1.0
_TURN_SECONDS = 3.0
_SPEECH_SAMPLES = PLAN_SAMPLE_RATE // 2
_CHARACTERS_SHOWN = 60
_FRAMES_SHOWN = 3
_MAX_FRAMES_KEPT = 200
_SILENT = "nothing (its own output may say more: an error, or a variable that is not set)"


class WireNotFoundError(UnreachableError):
    """The relay answers, but the kit cannot tell which wire it speaks."""


def known_wires() -> list[Wire]:
    """Return the wires that relays of other people were seen to speak."""
    return [*map(published_wire, published_wire_names()), find_wire("binary-header-bare")]


async def find_out_wire(
    address: RelayAddress, open_seconds: float, secrets: KnownSecrets | None = None
) -> Wire:
    """Find out which wire (message format) a relay speaks, by talking to the relay, and return the wire.

    A connection may take `open_seconds`. Raises UnreachableError if the relay does not answer, and
    WireNotFoundError if no wire fits or if several wires fit. The error shows what the relay sent, without
    secrets."""
    frames: list[Frame] = []
    secrets = secrets or KnownSecrets()
    wires = known_wires()
    for wire, pcm in _list_wires_to_try(wires):
        frames += await _speak_wire(address, wire, pcm, open_seconds, secrets)
        fitting_wires = _find_fitting_wires(wires, frames)
        if len(fitting_wires) == 1:
            return fitting_wires[0]
    names = ", ".join(wire.name for wire in _find_fitting_wires(wires, frames))
    guess = f"it may be {names}" if names else "none of the known wires fits"
    sample = "; ".join(map(_show_frame, frames[:_FRAMES_SHOWN])) or _SILENT
    raise WireNotFoundError(
        f"the wire of {address.url_without_secrets} was not found out: {guess}; it said: {sample}. "
        "Name the wire (--wire), or "
        "declare it: `spatius-sim wire show typed-json` is a file to begin with, `spatius-sim wire try FILE "
        f"{address.url_without_secrets}` shows what it understands"
    )


def _list_wires_to_try(wires: Sequence[Wire]) -> list[tuple[Wire, bytes]]:
    """Return the wires (message formats) to try at a relay, in order, each with the speech to send on it (b""
    if only the relay's first messages are read).

    Two wires without speech come first: one on which a client sends nothing at the start, and one with a
    start message. Then comes every wire with speech."""
    wires_without_start = [wire for wire in wires if not wire.write_client_action(Start(PLAN_SAMPLE_RATE))]
    wires_with_start = [wire for wire in wires if wire not in wires_without_start]
    pcm = speech("which wire", _SPEECH_SAMPLES)
    return [
        *((wire, b"") for wire in (wires_without_start[0], wires_with_start[0])),
        *((wire, pcm) for wire in (*wires_without_start, *wires_with_start)),
    ]


async def _speak_wire(
    address: RelayAddress, wire: Wire, pcm: bytes, open_seconds: float, secrets: KnownSecrets
) -> list[Frame]:
    """Connect to the relay at `address`, and speak this wire (message format) to it, to detect whether the
    relay understands it: a start message, then the audio `pcm` if this is not empty. Return the frames that
    the relay sends until motion comes, the relay hangs up, or time is up. After a first answer that is not
    understood, speak no audio."""
    frames: list[Frame] = []

    def collect_frame(event: Event) -> None:
        """Keep the frame of an event, if the relay has sent one and there are not too many."""
        if isinstance(event.content, Received) and not event.content.part and len(frames) < _MAX_FRAMES_KEPT:
            frames.append(event.content.raw)

    recorder = RealTimeRecorder(wire=wire, secrets=secrets, on_event=collect_frame)
    async with RelayClient(address, wire, recorder, "wire", open_seconds) as client:
        first_event = await client.start(PLAN_SAMPLE_RATE, 0.0 if pcm else _LISTEN_SECONDS)
        if not pcm or isinstance(first_event, NotUnderstood):
            return frames
        await client.do(Speak(pcm, last=True))
        deadline = asyncio.get_running_loop().time() + _TURN_SECONDS
        while not (client.closed.is_set() or any(_is_motion(event) for event in _read_frames(wire, frames))):
            seconds_left = deadline - asyncio.get_running_loop().time()
            recorder.changed.clear()
            try:
                await asyncio.wait_for(recorder.changed.wait(), seconds_left)
            except TimeoutError:
                break
    return frames


def _find_fitting_wires(wires: Sequence[Wire], frames: Sequence[Frame]) -> list[Wire]:
    """Return the wires (message formats) that explain these frames of the relay best. Each of them finds a
    greeting, audio, motion or an error in the frames, and leaves the fewest events unclear."""
    unclear_count_by_wire: dict[str, int] = {}
    for wire in wires:
        events = _read_frames(wire, frames)
        if any(isinstance(event, Ready | Audio | Failed) or _is_motion(event) for event in events):
            unclear_count_by_wire[wire.name] = sum(map(_is_unclear, events))
    fewest = min(unclear_count_by_wire.values(), default=0)
    return [wire for wire in wires if unclear_count_by_wire.get(wire.name) == fewest]


def _read_frames(wire: Wire, frames: Sequence[Frame]) -> list[RelayEvent]:
    """Return the events that these frames hold when they are read as this wire."""
    return [event for frame in frames for event in wire.read_relay_frame(frame)]


def _is_motion(event: RelayEvent) -> bool:
    """Return whether an event carries at least one response of Motion Server that can be decoded."""
    return isinstance(event, Motion) and any(
        isinstance(read_upstream(payload), MotionResponse) for payload in event.payloads
    )


def _is_unclear(event: RelayEvent) -> bool:
    """Return whether the wire cannot explain an event."""
    return isinstance(event, NotUnderstood) or (
        isinstance(event, Motion) and bool(event.payloads) and not _is_motion(event)
    )


def _show_frame(frame: Frame) -> str:
    """Return the beginning of a frame in ASCII, and its length if the rest is left out."""
    start = ascii(frame[:_CHARACTERS_SHOWN])
    return start if len(frame) <= _CHARACTERS_SHOWN else f"{start} ({len(frame)} in all)"
