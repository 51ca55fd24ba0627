"""Egress configurations are validated, their secrets stay out of traces, and rooms count what they get."""

import json
from base64 import urlsafe_b64encode
from dataclasses import replace

import numpy as np
import pytest

from spatius_sim.model.server.commands import Close, Send, SetTimer
from spatius_sim.model.server.egress_configuration import EgressFault, Room, read_egress_room
from spatius_sim.model.server.motion_answers import SynthesizedAnswer
from spatius_sim.model.server.session import ServerSession
from spatius_sim.model.server.simulated_rooms import MAX_REQUESTS, MAX_ROOMS, RoomRequest, SimulatedRooms
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    EgressType,
    LiveKitEgress,
    MotionResponse,
    ServerError,
    UnknownMessage,
)
from spatius_sim.tests.protocol.test_agora_token import ALL, CERTIFICATE, HOUR, NOW, token_006, token_007


def jwt(*parts: object) -> str:
    encoded = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "signature"])


def token(expiry: float = 100.0, **grants: object) -> str:
    """A LiveKit token for the room `room` that expires at unix time `expiry`."""
    return jwt({}, {"sub": "p", "exp": expiry, "video": {"roomJoin": True, "room": "room"} | grants})


LIVEKIT = LiveKitEgress("wss://l", room_name="room", publisher_id="p", api_token=token())
AGORA = AgoraEgress("channel", uid=7)


def livekit(**changes: object) -> ConfigureSession:
    changed = replace(LIVEKIT, **changes)  # type: ignore[arg-type]
    return ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=changed)


def agora(**changes: object) -> ConfigureSession:
    changed = replace(AGORA, **changes)  # type: ignore[arg-type]
    return ConfigureSession(16000, egress_type=EgressType.AGORA, agora_egress=changed)


@pytest.mark.parametrize(
    ("asked", "room"),
    [
        (ConfigureSession(16000), None),
        (livekit(idle_timeout=9), Room("room", "p", 9)),
        (livekit(api_token="", api_key="k", api_secret="s"), Room("room", "p")),
        (agora(), Room("channel", "7")),
        (agora(publisher_id="p", token="any"), Room("channel", "p")),
    ],
)
def test_a_valid_configuration_names_its_room(asked: ConfigureSession, room: Room | None) -> None:
    assert read_egress_room(asked) == room


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        (livekit(url="example.com"), 3, "livekit_egress.url"),
        (livekit(room_name=""), 3, "livekit_egress.room_name"),
        (livekit(idle_timeout=-1), 3, "livekit_egress.idle_timeout"),
        (livekit(api_token=""), 3, "missing livekit credentials"),
        (livekit(api_token="", api_key="k"), 3, "provide api_token or both api_key and api_secret"),
        (livekit(api_token="no-jwt"), 16, "unauthorized"),
        (livekit(api_token="a.b.c"), 16, "unauthorized"),
        (livekit(api_token="a.b."), 16, "unauthorized"),
        (livekit(api_token=jwt([], {})), 16, "unauthorized"),
        (livekit(api_token=jwt({}, {"sub": "p"})), 16, "does not grant roomJoin"),
        (livekit(api_token=token(expiry=49.0)), 16, "has expired"),
        (livekit(api_token=token(roomJoin=False)), 16, "does not grant roomJoin"),
        (livekit(api_token=token(room="another")), 16, "for another room"),
        (livekit(room_name="unauthorized-room", api_token=token(room="")), 16, "invalid token"),
        (
            livekit(room_name="unavailable-room", api_token=token(room="")),
            14,
            "failed to create egress connection",
        ),
        (agora(channel_name=""), 3, "agora_egress.channel_name"),
        (agora(channel_name="unavailable"), 14, "failed to create egress connection"),
        (ConfigureSession(16000, egress_type=EgressType.LIVEKIT), 3, "livekit_egress is required"),
        (ConfigureSession(16000, egress_type=EgressType.AGORA), 3, "agora_egress is required"),
        (ConfigureSession(16000, egress_type=9), 3, "egress_type 9"),
        (replace(livekit(), egress_type=0), 3, "egress_type is missing"),
        (replace(agora(), egress_type=0), 3, "egress_type is missing"),
        (replace(livekit(), agora_egress=AGORA), 3, "exclude each other"),
    ],
)
def test_an_invalid_one_is_refused_with_its_code(asked: ConfigureSession, code: int, text: str) -> None:
    fault = read_egress_room(asked, unix_time=50.0)
    assert isinstance(fault, EgressFault)
    assert fault.code == code
    assert text in fault.message


def test_the_text_of_16_is_that_of_the_service() -> None:
    fault = read_egress_room(livekit(api_token="no-jwt"))
    assert isinstance(fault, EgressFault)
    told = "failed to create connection: failed to connect to room: unauthorized: invalid token"
    assert fault.message.startswith(told)


def test_a_room_counts_what_comes() -> None:
    rooms = SimulatedRooms()
    rooms.join("a", "p")
    rooms.join("a", "q")
    rooms.count_message("a", "r", AudioInput("r", b"12"))
    rooms.count_message("a", "r", AudioInput("r", b"", True))
    rooms.count_message("a", "r", MotionResponse("c", "r", False, np.ones((3, WIDTH), np.float32)))
    rooms.count_message("a", "r", MotionResponse("c", "r", True, np.ones((1, WIDTH), np.float32)))
    rooms.count_message("a", "r", UnknownMessage(6))
    rooms.count_message("nowhere", "r", AudioInput("r"))
    assert rooms.by_name["a"].requests == {"r": RoomRequest(2, True, 4, True)}
    rooms.leave("a", "p")
    rooms.leave("a", "p")
    rooms.leave("nowhere", "p")
    assert rooms.by_name["a"].publishers == ["q"]
    rooms.clear()
    assert rooms.by_name == {}


def test_rooms_and_requests_are_bounded() -> None:
    rooms = SimulatedRooms()
    for number in range(MAX_ROOMS + 5):
        rooms.join(f"room-{number}", "p")
    for number in range(MAX_REQUESTS + 5):
        rooms.count_message(f"room-{MAX_ROOMS}", f"r-{number}", AudioInput("r"))
    assert len(rooms.by_name) == MAX_ROOMS
    assert len(rooms.by_name[f"room-{MAX_ROOMS}"].requests) == MAX_REQUESTS


@pytest.mark.parametrize(
    ("token", "now", "certificate", "told"),
    [
        (token_007(ALL), NOW, "", ""),
        (token_006(ALL), NOW, CERTIFICATE, ""),
        (token_006(ALL, channel="another"), NOW, "", "another channel"),
        (token_006(ALL, uid="8"), NOW, "", "another uid"),
        (token_007(ALL, channel="another"), NOW, "", "another channel"),
        (token_007(ALL, uid="8"), NOW, "", "another uid"),
        (token_006(ALL), NOW + 2 * HOUR, "", "has expired"),
        (token_007(ALL), NOW + 2 * HOUR, "", "has expired"),
        (token_007({1: HOUR, 2: HOUR}), NOW, "", "no right to publish video"),
        (token_007(ALL), NOW, "another certificate", "not signed by the certificate"),
        (token_006(ALL), NOW, "another certificate", "not signed by the certificate"),
        ("007 junk", NOW, "", "cannot be read"),
        ("", NOW, CERTIFICATE, "none of version 006 or 007"),
        ("another-token", NOW, CERTIFICATE, "none of version 006 or 007"),
    ],
)
def test_an_agora_token_is_good_for_its_channel_its_uid_and_its_time(
    token: str, now: int, certificate: str, told: str
) -> None:
    found = read_egress_room(agora(token=token), now, certificate)
    if not told:
        assert isinstance(found, Room)
        assert found.expires_at == NOW + HOUR
        return
    assert isinstance(found, EgressFault)
    assert found.code == 16
    assert told in found.message
    assert not token or token not in found.message
    assert not certificate or certificate not in found.message


def test_the_first_right_that_ends_ends_the_room() -> None:
    found = read_egress_room(agora(token=token_007(ALL | {2: 60})), NOW)
    assert isinstance(found, Room)
    assert found.expires_at == NOW + 60


@pytest.mark.parametrize("uid", [-1, 2**32])
def test_a_uid_is_a_number_of_32_bits(uid: int) -> None:
    found = read_egress_room(agora(uid=uid))
    assert isinstance(found, EgressFault)
    assert found.code == 3


def test_a_session_ends_when_its_agora_token_does() -> None:
    session = ServerSession("c", lambda *_: SynthesizedAnswer("c", "r", 16000, 1), unix_time=NOW)
    commands = session.receive(agora(token=token_006(ALL | {3: 90})))
    assert SetTimer("room-token", 90.0) in commands
    assert any(isinstance(one, Send) for one in commands)
    ended = session.handle_timer("room-token", 90.0)
    errors = [decode(one.raw) for one in ended if isinstance(one, Send)]
    assert ServerError("c", "", 16, "unauthorized: the Agora token has expired") in errors
    assert any(isinstance(one, Close) for one in ended)


def test_a_session_that_is_not_open_has_no_room_to_leave() -> None:
    session = ServerSession("c", lambda *_: SynthesizedAnswer("c", "r", 16000, 1), unix_time=NOW)
    assert session.handle_timer("room-token", 90.0) == []
