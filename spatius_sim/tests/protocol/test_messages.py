"""Messages are values: equal by content, hashable, and silent about credentials."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AgoraEgress,
    ConfigureSession,
    Interrupt,
    LiveKitEgress,
    MotionResponse,
)

MOTION = MotionResponse("c", "r", True, np.full((2, WIDTH), np.nan, np.float32))
LIVEKIT = LiveKitEgress(
    url="wss://lk", api_key="K3Y", api_secret="S3CRET", api_token="T0KEN", room_name="room"
)
AGORA = AgoraEgress(channel_name="room", token="T0KEN", uid=7)


def test_motion_with_the_same_content_is_equal() -> None:
    again = replace(MOTION, keyframes=MOTION.keyframes.copy())
    assert again == MOTION
    assert hash(again) == hash(MOTION)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(MOTION, connection_id="d"), id="connection"),
        pytest.param(replace(MOTION, req_id="s"), id="request"),
        pytest.param(replace(MOTION, end=False), id="end"),
        pytest.param(replace(MOTION, shape_fault="keyframe 0"), id="shape fault"),
        pytest.param(replace(MOTION, keyframes=MOTION.keyframes[:1]), id="fewer keyframes"),
        pytest.param(replace(MOTION, keyframes=np.zeros((2, WIDTH), np.float32)), id="other keyframes"),
        pytest.param(Interrupt("r"), id="another kind"),
    ],
)
def test_motion_that_differs_anywhere_is_not_equal(other: object) -> None:
    assert other != MOTION


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        MOTION.req_id = "s"  # type: ignore[misc]


@pytest.mark.parametrize("secret", ["K3Y", "S3CRET", "T0KEN"])
@pytest.mark.parametrize(
    "holder",
    [LIVEKIT, AGORA, ConfigureSession(16000, livekit_egress=LIVEKIT, agora_egress=AGORA)],
    ids=["LiveKit", "Agora", "the whole configuration"],
)
def test_a_repr_shows_no_credential(holder: object, secret: str) -> None:
    assert secret not in repr(holder)


@pytest.mark.parametrize("holder", [LIVEKIT, AGORA], ids=["LiveKit", "Agora"])
def test_a_repr_shows_the_room(holder: object) -> None:
    assert "room" in repr(holder)
