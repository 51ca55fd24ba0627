"""What reads bytes from outside, each as a function of these bytes. It may refuse them with an error of ours,
and with nothing else: any other exception is a finding, and so is a call that takes too long."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgpack

from spatius_sim.engine.baseline_file import read_baseline
from spatius_sim.engine.conformance_file import read_conformance_file
from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.engine.tapes.tape_settings import settings_of_tapes
from spatius_sim.files.network_file import read_networks, read_rate_trace
from spatius_sim.files.scenario_file import parse_scenario
from spatius_sim.files.wire_file import parse_wire
from spatius_sim.model.server import session_tokens
from spatius_sim.model.server.commands import Close
from spatius_sim.model.server.egress_configuration import read_egress_room
from spatius_sim.model.server.motion_answers import SynthesizedAnswer
from spatius_sim.model.server.session import ServerSession
from spatius_sim.model.server.session_tokens import read_token
from spatius_sim.net.proxy.http_bodies import BodyFraming
from spatius_sim.net.proxy.http_heads import END_OF_HEAD, parse_request_head, parse_response_head
from spatius_sim.net.proxy.websocket_tap import WebSocketTap
from spatius_sim.plans.plan_token import plan_of
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import RequestRefusedError, read_token_request
from spatius_sim.protocol.errors import SpatiusSimError
from spatius_sim.protocol.messages import AgoraEgress, ConfigureSession, EgressType, LiveKitEgress
from spatius_sim.protocol.ogg import OggOpusReader
from spatius_sim.protocol.room_packet import read_packet
from spatius_sim.protocol.video_container import Container, take_packets
from spatius_sim.reporting.formats.json_report import read_report
from spatius_sim.story.room_story import join_rooms
from spatius_sim.study.study_file import read_study
from spatius_sim.tape.reader import read_records
from spatius_sim.tape.repair_tape import repair
from spatius_sim.tape.sdk_recording import read_recording
from spatius_sim.trace.events import Event, Lane, Received, Trace, TraceHeader
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.room_events import PlaybackTold
from spatius_sim.wires import published_wire, published_wire_names
from spatius_sim.wires.testee_messages import read_answer as read_testee_answer
from spatius_sim.wires.testee_messages import read_request as read_testee_request

_PIECE_LENGTH_BYTES = 2
_MAX_PIECES = 64


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut bytes into pieces, each after its length in two bytes; the last may be shorter."""
    for _ in range(_MAX_PIECES):
        if len(data) < _PIECE_LENGTH_BYTES:
            return
        length = int.from_bytes(data[:_PIECE_LENGTH_BYTES], "little")
        data = data[_PIECE_LENGTH_BYTES:]
        yield data[:length]
        data = data[length:]


def ingress(data: bytes) -> None:
    """Frames of a client to one session of Motion Server; the last timer runs out in the end."""
    session = ServerSession("c", lambda connection, req, rate: SynthesizedAnswer(connection, req, rate, 1))
    session.handle_open()
    configured = data[:1] != b"\0"
    frames = [encode(ConfigureSession(16000))] if configured else []
    for number, raw in enumerate([*frames, *pieces(data[1:])]):
        commands = session.receive(read_upstream(raw), number / 10)
        if any(isinstance(command, Close) for command in commands):
            session.handle_close()
    for name in ("made", "idle", "send", "configure"):
        with suppress(AssertionError):  # The idle timer is set for rooms alone.
            session.handle_timer(name, 1_000.0)


def client_frames(data: bytes) -> None:
    """Frames of a relay to its client, on every published wire, as binary and as text."""
    for name in published_wire_names():
        for raw in pieces(data):
            published_wire(name).read_relay_frame(raw)
            published_wire(name).read_relay_frame(raw.decode(errors="replace"))


def http_heads(data: bytes) -> None:
    """A request and an answer that pass through the proxy, and the ends of their bodies."""
    head, _, body = data.partition(END_OF_HEAD)
    for read, method in ((parse_request_head, ""), (parse_response_head, "GET")):
        with suppress(SpatiusSimError):
            framing = BodyFraming(read(head), method)
            while body and not framing.ended:
                taken = framing.feed(body[:7])
                assert taken <= len(body)
                body = body[max(1, taken) :]


def websocket_tap(data: bytes) -> None:
    """Bytes of a WebSocket that pass through the proxy, from either side, compressed and not."""
    for deflate in ("", "permessage-deflate"):
        for from_client in (False, True):
            with suppress(SpatiusSimError):
                tap = WebSocketTap(
                    lambda message: None, lambda code, reason: None, deflate, from_client=from_client
                )
                for raw in (data[:3], data[3:]):
                    tap.feed(raw)


def _of_a_file(*reads: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Return a harness that writes the bytes to a file, and reads it in each of these ways."""

    def harness(data: bytes) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "input"
            path.write_bytes(data)
            for read in reads:
                with suppress(SpatiusSimError):
                    read(path)

    return harness


def _exhaust(path: Path) -> None:
    for _ in read_records(path):
        pass


tape = _of_a_file(
    _exhaust,
    lambda path: repair(path, path.with_name("repaired")),
    lambda path: check_tape(path, settings_of_tapes({}, path.parent)),
)
recording = _of_a_file(read_recording)
report = _of_a_file(read_report)
conformance = _of_a_file(lambda path: read_conformance_file(path, "conformance.yaml"))
study = _of_a_file(read_study)
networks = _of_a_file(
    read_networks, lambda path: read_rate_trace(path, "csv"), lambda path: read_rate_trace(path, "mahimahi")
)
baseline = _of_a_file(lambda path: read_baseline(path, "relay"))


def scenario(data: bytes) -> None:
    """A scenario that a person writes."""
    with suppress(SpatiusSimError):
        parse_scenario(data, "scenario.yaml", "fuzzed")


def wire(data: bytes) -> None:
    """A wire that a person declares, and a message on it."""
    with suppress(SpatiusSimError):
        parse_wire(data, "wire.yaml", "fuzzed")


def testee(data: bytes) -> None:
    """A line of a testee, and a line of ours as a shim reads it."""
    for read in (read_testee_answer, read_testee_request):
        with suppress(SpatiusSimError):
            read(data)


def token_request(data: bytes) -> None:
    """The body of a token request."""
    with suppress(RequestRefusedError):
        asked = read_token_request(data)
        msgpack.packb(asked.expire_at)  # As a tape does.


def egress(data: bytes) -> None:
    """A token of a LiveKit room or an Agora channel, in the configuration of a session."""
    text = data.decode(errors="replace")
    livekit = LiveKitEgress("wss://l", api_token=text, room_name="r", publisher_id="p")
    read_egress_room(ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=livekit), 1.0)
    agora = AgoraEgress("c", text, 7, "p")
    read_egress_room(ConfigureSession(16000, egress_type=EgressType.AGORA, agora_egress=agora), 1.0)


def session_token(data: bytes) -> None:
    """A session token: what comes, and what comes signed, as our key is public."""
    read_token(data.decode(errors="replace"))
    body = urlsafe_b64encode(data).decode()
    read_token(f"{body}.{session_tokens._sign(body)}")


def ogg(data: bytes) -> None:
    """An Ogg Opus stream, cut in two."""
    with suppress(SpatiusSimError):
        stream = OggOpusReader()
        for piece in (data[:5], data[5:]):
            stream.feed(piece)


def room(data: bytes) -> None:
    """A video frame of a room, the packets in it, and what an RPC there tells."""
    for container in Container:
        with suppress(SpatiusSimError):
            for packet in take_packets(container, data):
                read_packet(packet)
    with suppress(SpatiusSimError):
        read_packet(data)
    told = PlaybackTold("avatar", "lk.playback_finished", data.decode(errors="replace"))
    configured = ConfigureSession(16000, egress_type=EgressType.AGORA, agora_egress=AgoraEgress("c"))
    events = (
        Event(0, 0, Lane.UPSTREAM, "c", Received(encode(configured), configured)),
        Event(1, 1, Lane.EGRESS, "c", told),
    )
    [session] = join_rooms(Trace(TraceHeader("room", "", 0, "", ""), events))
    assert session.playback_reports


def plan_token(data: bytes) -> None:
    """What stands behind `--plan`."""
    for kind in ("relay", "server", "client"):
        with suppress(SpatiusSimError):
            plan_of(data.decode(errors="replace"), kind)


HARNESSES: dict[str, Callable[[bytes], None]] = {
    "ingress": ingress,
    "client_frames": client_frames,
    "http_heads": http_heads,
    "websocket_tap": websocket_tap,
    "tape": tape,
    "recording": recording,
    "report": report,
    "conformance": conformance,
    "baseline": baseline,
    "scenario": scenario,
    "wire": wire,
    "testee": testee,
    "token_request": token_request,
    "plan_token": plan_token,
    "egress": egress,
    "session_token": session_token,
    "ogg": ogg,
    "room": room,
    "study": study,
    "networks": networks,
}
"""By the name of their folder in fixtures/hostile."""
