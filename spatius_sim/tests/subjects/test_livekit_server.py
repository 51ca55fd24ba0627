"""The LiveKit server is named with its key and secret by its user, who is told what is missing."""

import pytest

from spatius_sim.engine.hide_option_secrets import find_subject_by_kind, secrets_in, without_secrets
from spatius_sim.engine.option_table import find_subject_kind
from spatius_sim.engine.run_settings import Settings
from spatius_sim.protocol.errors import UsageError
from spatius_sim.subjects.livekit_server import LiveKitAccess, find_livekit_server

BOTH = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "a-secret-of-many-letters"}


def test_key_and_secret_stand_in_the_url_or_in_the_environment() -> None:
    inside = find_livekit_server("wss://k:s%2F1@room.example:7880", BOTH)
    assert inside == LiveKitAccess("wss://room.example:7880", "k", "s/1")
    outside = find_livekit_server("", BOTH | {"LIVEKIT_URL": "ws://127.0.0.1:7880"})
    assert outside == LiveKitAccess("ws://127.0.0.1:7880", "key", "a-secret-of-many-letters")
    assert "a-secret" not in repr(outside)


@pytest.mark.parametrize(
    ("url", "variables", "told"),
    [
        ("", BOTH, "which LiveKit server"),
        ("http://room", BOTH, "begins with ws:// or wss://"),
        ("ws://room:port", BOTH, "begins with ws:// or wss://"),
        (
            "ws://room",
            {"LIVEKIT_API_KEY": "key"},
            "the secret of the LiveKit server is needed: set LIVEKIT_API_SECRET",
        ),
        ("ws://room", {}, "the key of the LiveKit server is needed: set LIVEKIT_API_KEY"),
    ],
)
def test_what_is_missing_is_told(url: str, variables: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        find_livekit_server(url, variables)


def test_each_run_has_a_room_of_its_own_and_one_that_nobody_signed() -> None:
    place = LiveKitAccess("ws://room", "key", "a-secret-of-many-letters")
    room, refusing = place.configure_new_room()
    assert room.api_token != refusing.api_token
    assert room.room_name == refusing.room_name != place.configure_new_room()[0].room_name


def test_a_room_makes_another_subject_of_a_server_and_is_none_alone() -> None:
    assert find_subject_kind({"server": "http://s", "room": "ws://r"}) == "room"
    assert find_subject_by_kind({"server": "http://s", "room": "ws://r"}) == {"room": "http://s"}
    assert find_subject_kind({"agent-cmd": "python agent.py"}) == "room"
    assert find_subject_kind({"server": "http://s"}) == "server"
    assert find_subject_kind({"room": "ws://r"}) == ""
    with pytest.raises(UsageError, match="--room goes with --server, --agent-cmd or --target"):
        Settings(room="ws://r", environment=BOTH).check()


def test_key_and_secret_are_hidden_wherever_they_stand() -> None:
    values = {"room": "ws://key-of-the-room:secret-of-the-room@r"}
    assert without_secrets(values)["room"] == "ws://...@r"
    assert {"secret-of-the-room", "a-secret-of-many-letters"} <= set(secrets_in(values, BOTH))
