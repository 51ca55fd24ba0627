"""Describes events in words, for people: no program decides anything by these texts."""

from dataclasses import fields

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.trace.events import (
    Awaited,
    Event,
    Injected,
    Provocation,
    Provoked,
    Received,
    Sent,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, Motion, Speak

_LONGEST_TEXT = 160


WORDS_BY_FAULT = {
    "server-dies": "Motion Server dies",
    "proxy-lost-track": "the proxy could not read along",
}
"""The words for those kinds of faults whose id alone says too little."""

WORDS_BY_PROVOCATION = {
    Provocation.WRONG_KEY: "a token request with a wrong API key",
    Provocation.MISSING_KEY: "a token request without an API key",
    Provocation.INVENTED_TOKEN: "an upgrade with an invented session token",
    Provocation.MISSING_TOKEN: "an upgrade without a session token",
    Provocation.UNKNOWN_AVATAR: "an upgrade for an unknown avatar",
    Provocation.EXPIRED_TOKEN: "an upgrade with an expired session token",
    Provocation.USED_TOKEN: "an upgrade with an expired session token that was used before",
    Provocation.TOKEN_IN_QUERY: "the app id and a good token in the query, not in headers",
    Provocation.OUTLIVED_TOKEN: "a turn on a session whose token has expired",
    Provocation.WRONG_MESSAGE: "audio as the first message",
    Provocation.TEXT: "text as the first message",
    Provocation.UNDECODABLE: "undecodable bytes as the first message",
    Provocation.UNSUPPORTED_RATE: "a configuration of an unsupported rate",
    Provocation.LONG_CLIP: "a clip that is longer than any recorded one",
    Provocation.DAMAGED_OPUS: "Ogg Opus that is damaged in its middle",
    Provocation.ROOM_REFUSES: "an egress whose room cannot be joined",
    Provocation.RUBBISH: "what no relay has a use for",
    Provocation.UNREAD: "a client that reads nothing from here on",
    Provocation.READ_ON: "a client that reads on",
}
"""The words for each provocation."""

WORDS_BY_WAIT = {
    Awaited.HANDSHAKE: "the answer to the first message",
    Awaited.SILENCE: "the second in which motion of an interrupted request may still come",
    Awaited.CLOSE: "the close after a refused handshake",
    Awaited.HANG_UP: "the upstream sessions of a client that hung up, to be closed",
    Awaited.ROOM: "the avatar, to join its room",
    Awaited.LIFE: "a sign of life",
}
"""The words for each thing that the kit waits for, except a turn."""


def describe_fault(fault: Injected) -> str:
    """Return an injected fault in words, with the numbers in its `detail`."""
    words = WORDS_BY_FAULT.get(fault.kind, fault.kind)
    return f"{words}: {fault.detail}" if fault.detail else words


def describe_provocation(provocation: Provocation) -> str:
    """Return in words what the kit does on purpose to provoke the subject."""
    return WORDS_BY_PROVOCATION[provocation]


def describe_wait(wait: WaitEnded) -> str:
    """Return in words what the kit waited for, and whether it came before the time was up."""
    if wait.what_for is Awaited.TURN:
        outcome = "its audio and its motion have come" if wait.complete else "nothing more came"
        return f"the wait for turn {wait.turn + 1} ends: {outcome}"
    return f"the wait for {WORDS_BY_WAIT[wait.what_for]} {'is over' if wait.complete else 'ended without it'}"


def describe_event(event: Event) -> str:
    """Return in words what happened in an event of a trace; its time and its connection are left out. `<-`
    stands before a frame that the kit sent, and `->` before a frame that it received. The words for an
    injected fault also say what it excuses a relay from."""
    match event.content:
        case Sent(raw, value):
            return f"<- {_describe_frame(raw, value)}"
        case Received(raw, value):
            return f"-> {_describe_frame(raw, value)}"
        case TurnStarted(turn, pcm, rate):
            return f"turn {turn + 1} starts: {_describe_length(pcm, rate)}"
        case Injected(excuses=excused) as fault:
            return f"the kit injects a fault: {describe_fault(fault)} (excuses {excused})"
        case Provoked(intent):
            return f"the kit does on purpose: {describe_provocation(intent)}"
        case WaitEnded() as wait:
            return describe_wait(wait)
        case content:
            named_values = ", ".join(
                f"{field.name}={_abbreviate(repr(getattr(content, field.name)))}" for field in fields(content)
            )
            return f"{type(content).__name__}({named_values})"


def _describe_frame(raw: str | bytes, value: object) -> str:
    """Return in words what a frame says; `value` is the frame as it was decoded. Known messages get a short
    sentence; any other value is printed, cut off if it is long."""
    match value:
        case AudioInput(req_id, audio, end):
            return f"audio of {req_id}: {len(audio)} bytes{', end' if end else ''}"
        case MotionResponse():
            end_mark = ", end" if value.end else ""
            fault = f", {value.shape_fault}" if value.shape_fault else ""
            return f"motion of {value.req_id}: {len(value.keyframes)} keyframes{end_mark}{fault}"
        case Audio(pcm, last, turn_id):
            return f"audio{_name_turn(turn_id)}: {len(pcm)} bytes{', last' if last else ''}"
        case Motion(payloads, last, turn_id):
            contents = ", ".join(_describe_frame(payload, read_upstream(payload)) for payload in payloads)
            return f"motion{_name_turn(turn_id)} [{contents}]{', last' if last else ''}"
        case Speak(pcm):
            return f"speaks: {len(pcm)} bytes"
        case _:
            return f"{_abbreviate(repr(value))} ({len(raw)} bytes)"


def _name_turn(turn_id: str) -> str:
    """Return the words that name a turn in the text of an event; "" if the turn has no id."""
    return f" of {turn_id}" if turn_id else ""


def _abbreviate(text: str) -> str:
    """Return a text, cut off after _LONGEST_TEXT characters if it is longer."""
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " ..."


def _describe_length(pcm: bytes, rate: int) -> str:
    """Return in words how long a piece of speech is, for the text of its event: in seconds, or in bytes if
    the rate is not known."""
    return f"{len(pcm) / BYTES_PER_SAMPLE / rate:.2f} s of speech" if rate else f"{len(pcm)} bytes of speech"
