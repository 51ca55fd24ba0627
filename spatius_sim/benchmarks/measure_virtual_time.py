"""How many seconds of conversation the kit simulates in a second of CPU: in virtual time, and by calling the
same brains directly."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from itertools import count

import numpy as np

from spatius_sim.benchmarks.figure import BenchSize, Figure
from spatius_sim.files.wire_file import find_wire
from spatius_sim.model.relay.commands import ConnectUp, RelayCommand, SendUp, Tell
from spatius_sim.model.relay.relay import SAMPLE_RATE, PlainRelay
from spatius_sim.model.server.commands import Send
from spatius_sim.model.server.motion_answers import RequestMotion, SynthesizedAnswer
from spatius_sim.model.server.session import ServerSession
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.protocol.codec import MessageReader, encode
from spatius_sim.trace.events import Lane, Opened, TraceHeader
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.virtual.memory_connection import Frame
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_relay import VirtualRelay
from spatius_sim.wires import Wire
from spatius_sim.wires.events import ClientAction, Motion, Speak, SpeakEnd, Start

TURN_SECONDS = 20
_CHUNK_BYTES = SAMPLE_RATE // 10 * 2
"""100 ms of audio."""


def measure_virtual_time(size: BenchSize) -> Iterator[Figure]:
    """Yield the figures of virtual time (a simulated clock): how many seconds of conversation are simulated
    in a second of CPU. For comparison, call the same relay and server directly, without clock and
    connections."""
    for wire_name, least_speed in (("json-envelope", 1200), ("binary-header", 2000)):
        speeds_by_round = [
            (
                measure_simulation_speed(wire_name, size.virtual_turn_count, direct=False),
                measure_simulation_speed(wire_name, size.virtual_turn_count, direct=True),
            )
            for _ in range(size.round_count)
        ]
        virtual_speed, direct_speed = (max(speeds) for speeds in zip(*speeds_by_round, strict=True))
        unit = "session-s/CPU-s"
        yield Figure(f"virtual time, {wire_name}", virtual_speed, unit, f"at least {least_speed}")
        yield Figure(f"its brains called directly, {wire_name}", direct_speed, unit)
        ratio = direct_speed / virtual_speed
        yield Figure(f"virtual time to its brains, {wire_name}", ratio, "x", "at most 1.3")


def measure_simulation_speed(wire_name: str, turn_count: int, *, direct: bool) -> float:
    """Simulate `turn_count` turns of 20 s between client, relay and server. Return how many seconds of speech
    are answered in a second of CPU.

    If `direct`, the program logic of relay and server is called directly. Otherwise the turns run in virtual
    time, over connections in memory, and are recorded."""
    wire = find_wire(wire_name)
    noise = np.random.default_rng(1).integers(-8000, 8000, TURN_SECONDS * SAMPLE_RATE, np.int16).tobytes()
    chunks = [noise[start : start + _CHUNK_BYTES] for start in range(0, len(noise), _CHUNK_BYTES)]
    actions: list[ClientAction] = [*map(Speak, chunks), SpeakEnd()]
    speak_turns = _speak_directly if direct else _speak_in_virtual_time
    started_at = time.process_time()
    speak_turns(wire, actions, turn_count)
    return turn_count * TURN_SECONDS / (time.process_time() - started_at)


def _speak_in_virtual_time(wire: Wire, actions: list[ClientAction], turn_count: int) -> None:
    """Speak `turn_count` turns, each by the same actions of the client, in virtual time, over connections in
    memory. Record everything. Raises VirtualTimeError if a turn is not answered."""
    loop = VirtualLoop()
    recorder = RealTimeRecorder(clock_ns=loop.time_ns, wire=wire)

    async def speak_all_turns() -> None:
        """Speak each turn as a new client, over a new connection to the relay, and wait until its motion is
        complete. Everything happens in virtual time."""
        server = VirtualMotionServer(loop, sink=recorder)
        relay = VirtualRelay(loop, _make_relay_brain(), wire, server)
        recorder.start(TraceHeader("relay", wire.name, 0, "bench", ""))
        for number in range(turn_count):
            # Not every wire carries several turns on one connection.
            client_id = f"client-{number}"
            recorder.emit(Lane.DOWNSTREAM, client_id, Opened(""))
            turn_ended = loop.create_future()
            client_end = relay.accept()
            client_end.on_frame = partial(record_frame_at_client, client_id, turn_ended)
            for action in (Start(SAMPLE_RATE), *actions):
                for frame in wire.write_client_action(action):
                    recorder.record_sent(Lane.DOWNSTREAM, client_id, frame)
                    client_end.send(frame)
            await turn_ended
            client_end.close()

    def record_frame_at_client(client_id: str, turn_ended: "asyncio.Future[None]", frame: Frame) -> None:
        """Record a frame that a client received from the relay. If it has the last motion of the client's
        turn, complete the future `turn_ended`."""
        for event in recorder.record_relay_frame(client_id, frame, wire):
            if isinstance(event, Motion) and event.last:
                turn_ended.set_result(None)

    loop.run(speak_all_turns(), None)
    loop.stop()
    recorder.finish()


def _speak_directly(wire: Wire, actions: list[ClientAction], turn_count: int) -> None:
    """Speak `turn_count` turns, each by the same actions of the client, without virtual time: call the
    program logic of relay and server directly. Encode and decode the frames between them; record nothing.
    Raises RuntimeError if a turn is not answered."""
    relay = _make_relay_brain()
    relay.on_client_connected("c1")
    sessions: dict[str, ServerSession] = {}
    decode_at_server, decode_at_relay = MessageReader().read, MessageReader().read
    answered_turn_count = 0

    def carry_out_relay_commands(commands: list[RelayCommand]) -> None:
        """Do at once, without virtual time, what the relay commands: encode and decode each message to its
        client, open sessions of Motion Server, and hand messages to them. Count the turns whose last motion
        reached the client.

        Answers of Motion Server make the relay give new commands, which are carried out, too."""
        nonlocal answered_turn_count
        for command in commands:
            match command:
                case Tell(_, event):
                    for frame in wire.write_relay_event(event):
                        relay_events = wire.read_relay_frame(frame)
                        answered_turn_count += sum(
                            isinstance(relay_event, Motion) and relay_event.last
                            for relay_event in relay_events
                        )
                case ConnectUp(upstream_id):
                    sessions[upstream_id] = ServerSession(f"connection-{len(sessions)}", _synthesize_answer)
                    carry_out_relay_commands(relay.on_session_opened(upstream_id))
                case SendUp(upstream_id, message):
                    value = read_upstream(encode(message), decode_at_server)
                    for answer in sessions[upstream_id].receive(value, 0.0):
                        if isinstance(answer, Send):
                            answer_value = read_upstream(answer.raw, decode_at_relay)
                            new_commands = relay.on_server_frame(upstream_id, answer.raw, answer_value)
                            carry_out_relay_commands(new_commands)

    for _ in range(turn_count):
        for action in actions:
            for frame in wire.write_client_action(action):
                carry_out_relay_commands(relay.on_client_action("c1", wire.read_client_frame(frame)))
    if answered_turn_count != turn_count:
        raise RuntimeError("a turn was not answered")


def _make_relay_brain() -> PlainRelay:
    """Return the brain of a relay for the benchmark: its program logic, without connections. Its request ids
    are numbered."""
    numbers = count(1)
    return PlainRelay("a key of the bench", lambda: f"request-{next(numbers)}")


def _synthesize_answer(connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
    """Return the answer of Motion Server to one request: it makes its motion from the audio."""
    return SynthesizedAnswer(connection_id, req_id, sample_rate, 0)
