"""How many seconds of conversation the kit simulates in a second of CPU: in virtual time, and by calling the
same brains directly."""

import asyncio
import time
from functools import partial
from itertools import count

import numpy as np

from spatius_sim.files.wire_file import find_wire
from spatius_sim.model.relay.commands import ConnectUp, RelayCommand, SendUp, Tell
from spatius_sim.model.relay.relay import SAMPLE_RATE, PlainRelay
from spatius_sim.model.server.commands import Send
from spatius_sim.model.server.motion_answers import RequestMotion, SynthesizedAnswer
from spatius_sim.model.server.session import ServerSession
from spatius_sim.net.real_time_recorder import RealTimeRecorder
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


def session_seconds_per_cpu_second(wire_name: str, turns: int, *, direct: bool) -> float:
    """Benchmark virtual time: let one client speak so many turns of 20 s in chunks of 100 ms, and return how
    many seconds of speech are answered in a second of CPU. `direct`: the brains are called directly, without
    virtual time and a trace."""
    wire = find_wire(wire_name)
    noise = np.random.default_rng(1).integers(-8000, 8000, TURN_SECONDS * SAMPLE_RATE, np.int16).tobytes()
    chunks = [noise[start : start + _CHUNK_BYTES] for start in range(0, len(noise), _CHUNK_BYTES)]
    actions: list[ClientAction] = [*map(Speak, chunks), SpeakEnd()]
    started = time.process_time()
    speak = _speak_directly if direct else _speak_in_virtual_time
    speak(wire, actions, turns)
    return turns * TURN_SECONDS / (time.process_time() - started)


def _speak_in_virtual_time(wire: Wire, actions: list[ClientAction], turns: int) -> None:
    """Speak the turns of the benchmark in virtual time, over connections in memory, with the trace on. Raises
    VirtualTimeError if a turn is not answered."""
    loop = VirtualLoop()
    recorder = RealTimeRecorder(clock_ns=loop.time_ns, wire=wire)

    async def speak_all_turns() -> None:
        """Let one client after the other speak its turn to the relay in virtual time, each on a connection of
        its own, and wait for the motion of each turn."""
        server = VirtualMotionServer(loop, sink=recorder)
        relay = VirtualRelay(loop, _make_brain(), wire, server)
        recorder.start(TraceHeader("relay", wire.name, 0, "bench", ""))
        for number in range(turns):
            # Not every wire carries several turns on one connection.
            name = f"client-{number}"
            recorder.emit(Lane.DOWNSTREAM, name, Opened(""))
            turn_ended = loop.create_future()
            client_end = relay.accept()
            client_end.on_frame = partial(record_frame_at_client, name, turn_ended)
            for action in (Start(SAMPLE_RATE), *actions):
                for frame in wire.write_client(action):
                    recorder.record_sent(Lane.DOWNSTREAM, name, frame)
                    client_end.send(frame)
            await turn_ended
            client_end.close()

    def record_frame_at_client(name: str, turn_ended: "asyncio.Future[None]", frame: Frame) -> None:
        """Record a frame that the relay sent to a client; end the client's turn at its last motion."""
        for event in recorder.record_message(name, frame, wire):
            if isinstance(event, Motion) and event.last:
                turn_ended.set_result(None)

    loop.run(speak_all_turns(), None)
    loop.stop()
    recorder.finish()


def _speak_directly(wire: Wire, actions: list[ClientAction], turns: int) -> None:
    """Speak the turns of the benchmark without virtual time: call the brains of relay and server one after
    the other. The frames between them are encoded and decoded as on a connection, and nothing is recorded.
    Raises RuntimeError if a turn is not answered."""
    relay = _make_brain()
    relay.client_came("c1")
    sessions: dict[str, ServerSession] = {}
    decode_at_server, decode_at_relay = MessageReader().read, MessageReader().read
    answered_turns = 0

    def carry_out_relay_commands(commands: list[RelayCommand]) -> None:
        """Carry out the relay's commands at once, without virtual time: write and read the messages to its
        client, and call the session of Motion Server with those to the server. Count the turns whose last
        motion reached the client."""
        nonlocal answered_turns
        for command in commands:
            match command:
                case Tell(_, event):
                    for frame in wire.write_relay(event):
                        relay_events = wire.read_relay(frame)
                        answered_turns += sum(
                            isinstance(relay_event, Motion) and relay_event.last
                            for relay_event in relay_events
                        )
                case ConnectUp(upstream):
                    sessions[upstream] = ServerSession(f"connection-{len(sessions)}", _synthesize_answer)
                    carry_out_relay_commands(relay.upstream_opened(upstream))
                case SendUp(upstream, message):
                    value = read_upstream(encode(message), decode_at_server)
                    for answer in sessions[upstream].receive(value, 0.0):
                        if isinstance(answer, Send):
                            read_value = read_upstream(answer.raw, decode_at_relay)
                            carry_out_relay_commands(relay.upstream_said(upstream, answer.raw, read_value))

    for _ in range(turns):
        for action in actions:
            for frame in wire.write_client(action):
                carry_out_relay_commands(relay.client_did("c1", wire.read_client(frame)))
    if answered_turns != turns:
        raise RuntimeError("a turn was not answered")


def _make_brain() -> PlainRelay:
    """Return the brain of a relay for the benchmark; its request ids are numbered."""
    numbers = count(1)
    return PlainRelay("a key of the bench", lambda: f"request-{next(numbers)}")


def _synthesize_answer(connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
    """Return an answer of Motion Server whose motion is synthesized from the audio."""
    return SynthesizedAnswer(connection_id, req_id, sample_rate, 0)
