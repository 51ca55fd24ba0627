"""A second reader of the protocol document, in another language, meets our Motion Server.

It is not the published Go Server SDK (github.com/spatius-ai/spatius-sdk-go): the module proxy refuses to give
that out ("This module version is not available"), so no test here has met it. The program shares nothing with
it but the document, and nothing with our server either, which was not read before it was written. Its `code`
says what the document says of that SDK, and is empty where the document says nothing.
"""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from spatius_sim.files.scenario_file import shipped_scenario
from spatius_sim.model.scenario.scenario import Fault, Moment, Scenario, SendError, When
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.audio import keyframe_count
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tape.sdk_recording import read_recording
from spatius_sim.tests.client_js.running import program
from spatius_sim.tests.go_reader.running import SOURCE, Met, built, go, travel, travel_together, turn
from spatius_sim.tests.log_ids import is_log_id
from spatius_sim.tests.net.server.sdk_cases import AT_HANDSHAKE, AT_RUN_TIME, AT_TOKEN, AT_UPGRADE, CASES
from spatius_sim.tests.recorded import answering

PCM = speech("go reader", 324_800)
"""20.3 s at 16 kHz, as long as what was recorded of the service."""

RECORDINGS = sorted(Path(os.environ.get("SPATIUS_SIM_RECORDINGS", "no recordings")).glob("*.json"))
SEGMENTS = [50, 100, 100, 100, 100, 57]
SHORT = PCM[:6400]
MIDDLE = PCM[:200_000]
"""6.25 s: segments of 50, 100 and 6 keyframes."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("go"))


def test_its_source_is_in_form(reader: Path) -> None:
    formed = subprocess.run(
        [program("gofmt"), "-l", "."], cwd=SOURCE, capture_output=True, text=True, timeout=60
    )
    assert (formed.stdout, formed.stderr) == ("", "")
    vetted = go("vet", ".")
    assert vetted.returncode == 0, vetted.stderr


def agrees(met: Met) -> None:
    """Go and Python read the same out of every payload, down to the last bit of every float."""
    for event, payload in zip(met.motion(), met.payloads, strict=True):
        message = decode(payload)
        assert isinstance(message, MotionResponse)
        told = (event["req_id"], event["end"], event["keyframes"], event["values"])
        values = hashlib.sha256(message.keyframes.astype("<f4").tobytes()).hexdigest()
        assert told == (message.req_id, message.end, len(message.keyframes), values)


def ended_in_peace(met: Met) -> None:
    assert met.disagreements == []
    assert set(met.kinds) <= {"payload", "closed"}
    assert (met.kinds[-1], met.events[-1]["close_code"]) == ("closed", 1000)


async def test_two_turns_on_one_session(reader: Path) -> None:
    async with SocketMotionServer() as server:
        met = await travel(reader, server, turn(PCM), turn(SHORT))
    ended_in_peace(met)
    agrees(met)
    assert is_log_id(met.connection_id)
    first, second = (met.motion(req_id) for req_id in met.req_ids)
    assert [event["keyframes"] for event in first] == SEGMENTS
    assert [event["end"] for event in first] == [False] * 5 + [True]
    assert [(event["keyframes"], event["end"]) for event in second] == [(5, True)]


async def test_many_sessions_at_once_hear_their_own_motion(reader: Path) -> None:
    turns = [turn(MIDDLE), turn(SHORT)]
    async with SocketMotionServer() as server:
        everybody = await travel_together(
            reader, server, [{"name": str(n), "turns": turns} for n in range(40)]
        )
    assert {met.name for met in everybody} == {str(n) for n in range(40)}
    for met in everybody:
        ended_in_peace(met)
        assert [event["keyframes"] for event in met.motion()] == [50, 100, 6, 5]
    assert len({met.connection_id for met in everybody}) == 40


@pytest.mark.parametrize("sample_rate", [8000, 22050, 24000, 32000, 44100, 48000])
async def test_every_rate_has_its_keyframes(reader: Path, sample_rate: int) -> None:
    async with SocketMotionServer() as server:
        met = await travel(reader, server, turn(MIDDLE[:-2]), sample_rate=sample_rate)
    ended_in_peace(met)
    assert sum(event["keyframes"] for event in met.motion()) == keyframe_count(99_999, sample_rate)


async def test_no_end_follows_an_interrupt(reader: Path) -> None:
    async with SocketMotionServer() as server:
        met = await travel(reader, server, turn(MIDDLE, interrupt=True), turn(SHORT))
    ended_in_peace(met)
    interrupted, following = (met.motion(req_id) for req_id in met.req_ids)
    assert interrupted
    assert [event["end"] for event in interrupted] == [False] * len(interrupted)
    assert [(event["keyframes"], event["end"]) for event in following] == [(5, True)]


async def test_with_an_egress_nothing_comes_back(reader: Path) -> None:
    livekit = {"url": "wss://livekit.example", "api_key": "k", "api_secret": "s", "room_name": "r"}
    async with SocketMotionServer() as server:
        met = await travel(reader, server, turn(MIDDLE), turn(MIDDLE, interrupt=True), livekit=livekit)
        whole, cut = (server.rooms.by_name["r"].requests[req_id] for req_id in met.req_ids)
    ended_in_peace(met)
    assert met.motion() == []
    assert (whole.audio_bytes, whole.keyframes, whole.motion_ended) == (len(MIDDLE), 156, True)
    assert not cut.motion_ended


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_what_the_service_itself_said_is_read_alike(reader: Path, path: Path) -> None:
    recording = read_recording(path)
    spoken = turn(recording.audio, req_id=recording.req_id)
    async with SocketMotionServer(new_answer=answering(recording)) as server:
        met = await travel(reader, server, spoken, sample_rate=recording.sample_rate)
    assert met.payloads == list(recording.payloads)
    agrees(met)
    # Recorded payloads keep the connection_id of their day; all else is as the document has it.
    foreign = f'connection_id "{recording.connection_id}", where "{met.connection_id}" was confirmed'
    assert set(met.disagreements) == {foreign}
    total = keyframe_count(len(recording.audio) // 2, recording.sample_rate)
    assert sum(event["keyframes"] for event in met.motion()) == total


CODES = {
    "upgrade: 401": "sessionTokenExpired",
    "upgrade: 400": "sessionTokenInvalid",
    "upgrade: bad token text": "sessionTokenInvalid",
    "upgrade: mismatched app": "sessionTokenInvalid",
    "upgrade: unknown app": "appIDUnrecognized",
    "upgrade: missing avatar": "appIDUnrecognized",
    "run time: credits exhausted": "unknown",
    "run time: time limit": "unknown",
}
"""What the document says that the Go SDK makes of it: by status alone, and 4001 and 4002 unknown. Of its
eight codes these four are named."""

PHASES = {AT_TOKEN: "token", AT_UPGRADE: "upgrade", AT_HANDSHAKE: "handshake", AT_RUN_TIME: "run time"}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.phase])
async def test_the_same_provocations_as_for_the_python_sdk(name: str, reader: Path) -> None:
    case = CASES[name]
    job: dict[str, Any] = {"patience": 1 if "silent" in name else 30} | dict(case.job)
    async with SocketMotionServer(scenario=case.scenario) as server:
        met = await travel(reader, server, turn(MIDDLE), until_told=True, **job, **job.pop("options", {}))
    told = met.told
    assert (told["code"], told["phase"]) == (CODES.get(name, ""), PHASES[case.phase])
    # A 200 that grants no token is not a refusal to this reader, whatever stands in its body.
    status = 0 if (case.phase, case.status) == (AT_TOKEN, 200) else case.status or 0
    assert (told["http_status"], told["close_code"]) == (status, case.close or 0)
    if case.phase in (AT_HANDSHAKE, AT_RUN_TIME):
        assert told["server_code"] == (case.server and int(case.server))


async def test_an_ordinary_close_in_mid_turn_is_silent(reader: Path) -> None:
    async with SocketMotionServer(scenario=CASES["run time: 1000"].scenario) as server:
        met = await travel(reader, server, turn(MIDDLE))
    ended_in_peace(met)
    assert not any(event["end"] for event in met.motion())


async def test_a_close_without_a_code_bears_none(reader: Path) -> None:
    async with SocketMotionServer(scenario=CASES["run time: no code"].scenario) as server:
        met = await travel(reader, server, turn(MIDDLE))
    assert (met.kinds[-1], met.told["close_code"]) == ("told", 0)
    assert "1005" in met.told["text"]


async def test_an_error_comes_in_order_and_the_session_lives_on(reader: Path) -> None:
    out_of_credits = Fault(When(Moment.AUDIO, seconds=3.0), (SendError(4001, "Credits exhausted"),))
    async with SocketMotionServer(scenario=Scenario("test", "test", (out_of_credits,))) as server:
        met = await travel(reader, server, turn(PCM), turn(SHORT))
    assert met.kinds == ["payload", "told", "payload", "closed"]
    assert (met.told["server_code"], met.told["text"], met.told["req_id"]) == (
        4001,
        "Credits exhausted",
        met.req_ids[0],
    )
    assert (met.events[2]["req_id"], met.events[2]["end"]) == (met.req_ids[1], True)
    assert met.disagreements == []


@pytest.mark.parametrize(
    ("scenario", "status", "body"),
    [
        ("token-invalid", 400, '{"message":"Invalid session token"}\n'),
        ("token-expired", 401, '{"message":"session token expired"}\n'),
        ("avatar-missing", 404, '{"message":"Avatar not found: sim-avatar"}\n'),
        ("billing-required", 402, '{"message":"session denied: insufficient credits"}\n'),
    ],
)
async def test_a_refused_upgrade_has_its_documented_body(
    scenario: str, status: int, body: str, reader: Path
) -> None:
    async with SocketMotionServer(scenario=shipped_scenario(scenario)) as server:
        met = await travel(reader, server, until_told=True)
    assert (met.told["http_status"], met.told["text"]) == (status, body)


FOREIGN = "20200101000000_AAAAAAAAAAAA"


@pytest.mark.parametrize(
    ("scenario", "kinds", "disagreements"),
    [
        ("unknown-fields", ["payload"] * 3, []),
        ("largest-message", ["payload"] * 3, []),
        ("too-large-message", ["payload"] * 3, []),
        (
            "garbled-motion",
            ["payload", "told", "payload"],
            ["56 keyframes for 100000 samples at 16000 Hz, not 156"],
        ),
        (
            "text-message",
            ["payload", "told", "payload"],
            ["56 keyframes for 100000 samples at 16000 Hz, not 156"],
        ),
        ("lost-response", ["payload"] * 2, ["56 keyframes for 100000 samples at 16000 Hz, not 156"]),
        (
            "reordered-responses",
            ["payload"] * 3,
            ["56 keyframes for 100000 samples at 16000 Hz, not 156", "motion after the end"],
        ),
        (
            "empty-motion",
            ["payload"] * 3,
            ["0 keyframes in a segment of 50"] * 2 + ["0 keyframes for 100000 samples at 16000 Hz, not 156"],
        ),
        (
            "foreign-req-id",
            ["payload"] * 3,
            [
                f'motion for "{FOREIGN}", which nobody spoke',
                "56 keyframes for 100000 samples at 16000 Hz, not 156",
            ],
        ),
    ],
)
async def test_what_a_scenario_breaks_is_what_the_reader_misses(
    scenario: str, kinds: list[str], disagreements: list[str], reader: Path
) -> None:
    async with SocketMotionServer(scenario=shipped_scenario(scenario)) as server:
        met = await travel(reader, server, turn(MIDDLE))
    assert (met.kinds, met.disagreements) == ([*kinds, "closed"], disagreements)
