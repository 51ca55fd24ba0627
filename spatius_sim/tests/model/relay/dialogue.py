"""Talks with a relay brain as its clients and Motion Server do, and reads what it tells its clients."""

from collections.abc import Callable
from itertools import count

import numpy as np

from spatius_sim.model.relay.commands import ConnectUp, RelayCommand, Tell
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import ConfirmSession, MotionResponse
from spatius_sim.wires.events import Audio, Motion, Speak, SpeakEnd

ANN, BOB = "ann", "bob"
UP = "ann-turn-0"
"""The turn id of ann's first turn, and its upstream session."""
KEY = "the API key"
SHORT, LONG = bytes(640), bytes(range(256)) * 5
"""20 ms and 40 ms of audio."""


MakeRelay = Callable[[str, Callable[[], str]], PlainRelay]
"""A class of relay brains, or such a class with a policy: from an API key and a maker of request ids."""


def new_relay(make: MakeRelay) -> PlainRelay:
    """Make a relay that ann has come to."""
    numbers = count(1)
    relay = make(KEY, lambda: f"req-{next(numbers)}")
    relay.on_client_connected(ANN)
    return relay


def response(number: int, *, end: bool) -> tuple[bytes, MotionResponse]:
    """Compose a payload of ann's first turn, as bytes and as a message."""
    message = MotionResponse("id", "req-1", end, np.full((1, WIDTH), number, np.float32))
    return encode(message), message


def responses(payloads: int) -> list[tuple[bytes, MotionResponse]]:
    """Compose that many payloads; the last one ends the motion."""
    return [response(number, end=number == payloads) for number in range(1, payloads + 1)]


def raws(payloads: int) -> list[bytes]:
    """Return the bytes of `responses`."""
    return [raw for raw, _ in responses(payloads)]


def whole_run(make: MakeRelay, payloads: int = 3, turns: int = 1) -> list[RelayCommand]:
    """Return all commands of a relay with two clients, of whom ann speaks."""
    numbers = count(1)
    relay = make(KEY, lambda: f"req-{next(numbers)}")
    commands = relay.on_client_connected(ANN) + relay.on_client_connected(BOB)
    for _ in range(turns):
        commands += relay.on_client_action(ANN, Speak(SHORT))
        up = next(command.session_id for command in reversed(commands) if isinstance(command, ConnectUp))
        commands += relay.on_session_opened(up)
        commands += relay.on_server_frame(up, b"", ConfirmSession("id"))
        commands += relay.on_client_action(ANN, Speak(LONG))
        commands += relay.on_client_action(ANN, SpeakEnd())
        for raw, message in responses(payloads):
            commands += relay.on_server_frame(up, raw, message)
    return commands


def speak_a_turn(relay: PlainRelay, pcm: bytes) -> list[RelayCommand]:
    """Have ann speak this audio and end her turn."""
    return relay.on_client_action(ANN, Speak(pcm)) + relay.on_client_action(ANN, SpeakEnd())


def told(commands: list[RelayCommand], client: str = ANN) -> list[Audio | Motion]:
    """Return the audio and motion that a client was told."""
    events = [
        command.event for command in commands if isinstance(command, Tell) and command.client_id == client
    ]
    return [event for event in events if isinstance(event, Audio | Motion)]


def audio_told(make: MakeRelay) -> list[Audio]:
    """Return the audio that ann was told in a whole run."""
    return [event for event in told(whole_run(make)) if isinstance(event, Audio)]


def motion_told(make: MakeRelay, payloads: int = 3, turns: int = 1) -> list[Motion]:
    """Return the motion that ann was told in a whole run."""
    return [event for event in told(whole_run(make, payloads, turns)) if isinstance(event, Motion)]


def payloads_told(make: MakeRelay, payloads: int) -> list[tuple[int, bool]]:
    """Return how many payloads each message has, and whether it is marked."""
    return [(len(event.payloads), event.last) for event in motion_told(make, payloads)]
