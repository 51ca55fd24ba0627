"""The real recording: decoded, judged, served with its original ids, and byte-identical at the end.

Needs SPATIUS_SIM_RECORDINGS=<folder>, with files in the shape of the SDK's HTTP example.
"""

import os
from pathlib import Path

import pytest

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession, MotionResponse
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tape.sdk_recording import Recording, read_recording
from spatius_sim.tests.net.server.running_sdk import live
from spatius_sim.tests.recorded import answering
from spatius_sim.tests.subjects.running_relay import motion_ended, payloads, pipeline
from spatius_sim.trace.decoder_events import MotionDiscarded, MotionTaken, PlaybackState
from spatius_sim.trace.events import (
    Awaited,
    Event,
    EventKind,
    Lane,
    Received,
    Sent,
    Trace,
    TraceHeader,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, Motion

FOLDER = os.environ.get("SPATIUS_SIM_RECORDINGS", "")

if not FOLDER:
    pytest.skip("SPATIUS_SIM_RECORDINGS names no folder of recordings", allow_module_level=True)

PATHS = sorted(Path(FOLDER).glob("*.json"))
assert PATHS, f"SPATIUS_SIM_RECORDINGS={FOLDER} holds no recording"


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Recording:
    return read_recording(request.param)


def as_trace(recording: Recording) -> Trace:
    """The recording as a Server SDK saw it."""
    configured = ConfigureSession(recording.sample_rate)
    confirmed = ConfirmSession(recording.connection_id)
    spoken = AudioInput(recording.req_id, recording.audio, True)
    whats: list[tuple[Lane, EventKind]] = [
        (Lane.KIT, TurnStarted(0, recording.audio, recording.sample_rate)),
        (Lane.UPSTREAM, Sent(encode(configured), configured)),
        (Lane.UPSTREAM, Received(encode(confirmed), confirmed)),
        (Lane.UPSTREAM, Sent(encode(spoken), spoken)),
        *((Lane.UPSTREAM, Received(raw, read_upstream(raw))) for raw in recording.payloads),
        (Lane.KIT, WaitEnded(Awaited.TURN, True, 0)),
    ]
    events = tuple(Event(i, i, lane, "session-1", what) for i, (lane, what) in enumerate(whats))
    return Trace(TraceHeader("server", "", 0, recording.name, ""), events)


def test_every_payload_decodes_and_encodes_to_the_same_bytes(recording: Recording) -> None:
    for payload in recording.payloads:
        message = decode(payload)
        assert isinstance(message, MotionResponse)
        assert (message.connection_id, message.req_id) == (recording.connection_id, recording.req_id)
        assert encode(message) == payload


def test_it_keeps_the_rules_for_motion_servers(recording: Recording) -> None:
    verdicts = {rule_id: j.verdict for rule_id, j in judge(as_trace(recording)).items()}
    assert Verdict.FAILED not in verdicts.values(), verdicts
    motion = {verdict for rule_id, verdict in verdicts.items() if rule_id.startswith("S-MOTION-")}
    assert motion == {Verdict.PASSED}, verdicts


async def test_the_sdk_gets_every_payload_byte_for_byte(recording: Recording) -> None:
    async with SocketMotionServer(new_answer=answering(recording)) as server:
        life = await live(server, [recording.audio], sample_rate=recording.sample_rate)
    assert life.payloads == list(recording.payloads)
    assert life.errors == []


async def test_relay_and_client_get_every_payload_byte_for_byte(recording: Recording) -> None:
    async with pipeline() as pipe:
        pipe.server.new_answer = answering(recording)
        await pipe.speak(recording.audio)
        heard = await pipe.hear(motion_ended)
    assert payloads(heard) == list(recording.payloads)
    decoder = ClientDecoder(recording.sample_rate, lambda: "conversation-1")
    for event in heard:
        match event:
            case Audio(pcm, last):
                current = decoder.yield_audio_data(pcm, last)
            case Motion(frames):
                decoder.yield_frames_data(frames, current)
    events = decoder.take_events()
    assert not [event for event in events if isinstance(event, MotionDiscarded)]
    taken = sum(event.keyframes for event in events if isinstance(event, MotionTaken))
    assert taken == len(recording.audio) // 2 * 25 // recording.sample_rate
    decoder.advance(60_000_000_000)
    assert decoder.state is PlaybackState.IDLE
