"""The egress joins a real room, or says why it cannot, and never with a credential."""

import asyncio
import logging
import time

import pytest

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    LiveKitEgress,
    MotionResponse,
    ServerError,
)
from spatius_sim.protocol.video_container import Container, is_key_frame, put_packet, take_packets
from spatius_sim.tests.net.room.livekit_server import (
    KEY,
    SECRET,
    LiveKitServer,
)
from spatius_sim.tests.net.talk import talk, utterance

pytestmark = pytest.mark.filterwarnings("default")

PCM = bytes(32_000)


def asks_for(egress: LiveKitEgress) -> ConfigureSession:
    return ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=egress)


def egress(url: str, token: str, *attributes: tuple[str, str]) -> LiveKitEgress:
    return LiveKitEgress(
        url, api_token=token, room_name="r", publisher_id="avatar", extra_attributes=attributes
    )


@pytest.mark.parametrize("container", Container)
def test_black_video_begins_with_its_one_key_frame_and_holds_no_packet(container: Container) -> None:
    pytest.importorskip("av", reason="the extra livekit is not installed")
    from spatius_sim.net.room.black_video import encode_black_frames

    frames = encode_black_frames(container)
    assert [is_key_frame(container, frame) for frame in frames] == [True] + [False] * (len(frames) - 1)
    assert not any(take_packets(container, frame) for frame in frames)
    assert max(map(len, frames)) < 1000
    assert take_packets(container, put_packet(container, frames[0], b"packet")) == [b"packet"]


def test_a_user_without_the_extra_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spatius_sim.net.room.room_publisher", None)
    with pytest.raises(UsageError, match=r"pip install 'spatius-sim\[livekit\]'"):
        MotionServer(livekit=True)


def test_no_token_stands_in_the_log() -> None:
    from spatius_sim.net.room.quiet_log import quiet_livekit_log

    quiet_livekit_log()
    quiet_livekit_log()
    record = logging.getLogger("livekit").makeRecord(
        "livekit", logging.ERROR, "f", 1, "refused: %s!", ("eyJhbGciOi.eyJpc3Mi.c2ln",), None
    )
    assert logging.getLogger("livekit").filter(record)
    assert record.getMessage() == "refused: ***!"


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        ("secret", 16, "refuses the token"),
        ("no right to publish", 16, "no right to publish"),
        ("nobody listens", 14, "cannot be reached"),
    ],
)
async def test_a_room_that_cannot_be_joined_is_an_error_at_the_handshake(
    livekit: LiveKitServer, fault: str, code: int, text: str
) -> None:
    rights = {"can_publish": fault != "no right to publish"}
    token = livekit.token("r", "avatar", time.time(), **rights) + "x" * (fault == "secret")
    url = "ws://127.0.0.1:9" if fault == "nobody listens" else livekit.url
    async with MotionServer(livekit=True) as server, talk(server, asks_for(egress(url, token))) as session:
        refused = await session.hear()
        assert isinstance(refused, ServerError)
        assert refused.code == code
        assert text in refused.message
        assert token not in refused.message
        assert await session.hear() is None
        assert server.rooms.by_name == {}


async def test_key_and_secret_make_a_token_and_an_older_agent_hears_the_end_on_the_socket(
    livekit: LiveKitServer,
) -> None:
    asked = asks_for(LiveKitEgress(livekit.url, KEY, SECRET, room_name="r", publisher_id="avatar"))
    async with MotionServer(livekit=True, container="vp8") as server, talk(server, asked) as session:
        assert isinstance(await session.hear(), ConfirmSession)
        await session.say(*utterance("a", PCM))
        began, ended = await session.hear(), await session.hear()
        assert isinstance(began, MotionResponse)
        assert isinstance(ended, MotionResponse)
        assert [(one.req_id, one.end, len(one.keyframes)) for one in (began, ended)] == [
            ("a", False, 0),
            ("a", True, 0),
        ]


async def test_a_second_participant_of_its_name_puts_the_egress_out(livekit: LiveKitServer) -> None:
    from livekit import rtc

    token = livekit.token("r", "avatar", time.time())
    async with (
        MotionServer(livekit=True) as server,
        talk(server, asks_for(egress(livekit.url, token))) as session,
    ):
        assert isinstance(await session.hear(), ConfirmSession)
        intruder = rtc.Room()
        await intruder.connect(livekit.url, livekit.token("r", "avatar", time.time()))
        try:
            told = await session.hear()
            while isinstance(told, MotionResponse):
                told = await session.hear()
            assert isinstance(told, ServerError)
            assert (told.code, told.message) == (14, "the egress has lost its room")
        finally:
            await intruder.disconnect()


async def test_an_agent_that_takes_no_rpc_is_told_of_and_disturbs_nobody(livekit: LiveKitServer) -> None:
    notes: list[str] = []
    nobody = egress(
        livekit.url,
        livekit.token("r", "avatar", time.time()),
        ("livekit_agent_identity", "nobody"),
    )
    async with (
        MotionServer(livekit=True, on_note=notes.append) as server,
        talk(server, asks_for(nobody)) as session,
    ):
        assert isinstance(await session.hear(), ConfirmSession)
        await session.say(AudioInput("a", PCM, True))
        async with asyncio.timeout(20):
            while not notes:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert notes[0].startswith("the agent 'nobody' took no lk.playback_started: RPC error")
