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
from spatius_sim.net.real_time_recorder import LiveRecorder
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
    """Let one client speak so many turns of 20 s in chunks of 100 ms, and return how many seconds of speech
    were answered in a second of CPU: in virtual time with the trace on, or by calling the brains directly."""
    wire = find_wire(wire_name)
    noise = np.random.default_rng(1).integers(-8000, 8000, TURN_SECONDS * SAMPLE_RATE, np.int16).tobytes()
    chunks = [noise[start : start + _CHUNK_BYTES] for start in range(0, len(noise), _CHUNK_BYTES)]
    actions: list[ClientAction] = [*map(Speak, chunks), SpeakEnd()]
    started = time.process_time()
    speak = _speak_directly if direct else _speak_in_virtual_time
    speak(wire, actions, turns)
    return turns * TURN_SECONDS / (time.process_time() - started)


def _speak_in_virtual_time(wire: Wire, actions: list[ClientAction], turns: int) -> None:
    """Speak the turns over connections in memory, with the trace on. Raises VirtualTimeError if a turn is not
    answered."""
    loop = VirtualLoop()
    recorder = LiveRecorder(clock_ns=loop.time_ns, wire=wire)

    async def converse() -> None:
        server = VirtualMotionServer(loop, sink=recorder)
        relay = VirtualRelay(loop, _make_brain(), wire, server)
        recorder.start(TraceHeader("relay", wire.name, 0, "bench", ""))
        for number in range(turns):
            # Not every wire carries several turns on one connection.
            name = f"client-{number}"
            recorder.emit(Lane.DOWNSTREAM, name, Opened(""))
            over = loop.create_future()
            end = relay.accept()
            end.on_frame = partial(hear, name, over)
            for action in (Start(SAMPLE_RATE), *actions):
                for frame in wire.write_client(action):
                    recorder.record_sent(Lane.DOWNSTREAM, name, frame)
                    end.send(frame)
            await over
            end.close()

    def hear(name: str, over: "asyncio.Future[None]", frame: Frame) -> None:
        for event in recorder.record_message(name, frame, wire):
            if isinstance(event, Motion) and event.last:
                over.set_result(None)

    loop.run(converse(), None)
    loop.stop()
    recorder.finish()


def _speak_directly(wire: Wire, actions: list[ClientAction], turns: int) -> None:
    """Call the brains of relay and server one after the other, with the frames between them encoded and
    decoded as on a connection, and nothing recorded. Raises RuntimeError if a turn is not answered."""
    relay = _make_brain()
    relay.client_came("c1")
    sessions: dict[str, ServerSession] = {}
    read_at_server, read_at_relay = MessageReader().read, MessageReader().read
    ended = 0

    def carry_out(commands: list[RelayCommand]) -> None:
        nonlocal ended
        for command in commands:
            match command:
                case Tell(_, event):
                    for frame in wire.write_relay(event):
                        read = wire.read_relay(frame)
                        ended += sum(isinstance(one, Motion) and one.last for one in read)
                case ConnectUp(upstream):
                    sessions[upstream] = ServerSession(f"connection-{len(sessions)}", _answer)
                    carry_out(relay.upstream_opened(upstream))
                case SendUp(upstream, message):
                    value = read_upstream(encode(message), read_at_server)
                    for answer in sessions[upstream].receive(value, 0.0):
                        if isinstance(answer, Send):
                            read_value = read_upstream(answer.raw, read_at_relay)
                            carry_out(relay.upstream_said(upstream, answer.raw, read_value))

    for _ in range(turns):
        for action in actions:
            for frame in wire.write_client(action):
                carry_out(relay.client_did("c1", wire.read_client(frame)))
    if ended != turns:
        raise RuntimeError("a turn was not answered")


def _make_brain() -> PlainRelay:
    numbers = count(1)
    return PlainRelay("a key of the bench", lambda: f"request-{next(numbers)}")


def _answer(connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
    return SynthesizedAnswer(connection_id, req_id, sample_rate, 0)
