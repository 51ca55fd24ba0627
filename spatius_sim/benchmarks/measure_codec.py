"""Measures the codec of Motion Server's messages, compared with protobuf's own objects."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from spatius_sim.benchmarks.figure import BenchSize, Figure
from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.keyframes import FIELDS, WIDTH, Keyframes
from spatius_sim.protocol.messages import MotionResponse


def _decode_by_objects(raw: bytes) -> Keyframes:
    """Return the keyframes of a payload, decoded through the objects that protobuf generates: what the
    benchmark compares our decoder with."""
    envelope = wire.Message()
    envelope.ParseFromString(raw)
    motion = wire.Motion()
    motion.ParseFromString(envelope.server_response_animation.animation)
    rows = np.empty((len(motion.keyframes), WIDTH), np.float32)
    for row, keyframe in zip(rows, motion.keyframes, strict=True):
        for name, columns in FIELDS.items():
            row[columns] = getattr(keyframe, name)
    return rows


def _encode_by_objects(response: MotionResponse) -> bytes:
    """Encode a motion response through the objects that protobuf generates, and return the bytes. The
    benchmark compares our encoder with this."""
    motion = wire.Motion()
    for row in response.keyframes:
        keyframe = motion.keyframes.add()
        for name, columns in FIELDS.items():
            getattr(keyframe, name).extend(row[columns].tolist())
    envelope = wire.Message(type=wire.SERVER_RESPONSE_ANIMATION)
    answer = envelope.server_response_animation
    answer.connection_id, answer.req_id = response.connection_id, response.req_id
    answer.end, answer.animation = response.end, motion.SerializeToString()
    return envelope.SerializeToString()


def measure_codec(size: BenchSize) -> Iterator[Figure]:
    """Yield the benchmark's figures of the codec: how fast payloads are encoded, decoded and synthesized."""
    rows = np.random.Generator(np.random.PCG64(1)).uniform(-1, 1, (100, WIDTH)).astype(np.float32)
    response = MotionResponse("connection", "request", end=True, keyframes=rows)
    raw = encode(response)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "encode": (lambda: encode(response), lambda: _encode_by_objects(response)),
        "decode": (lambda: decode(raw), lambda: _decode_by_objects(raw)),
    }
    for name, (ours, theirs) in pairs.items():
        our_seconds, their_seconds = (
            min(_time_call(work, size.payloads) for _ in range(size.rounds)) for work in (ours, theirs)
        )
        yield Figure(f"{name} a payload of 100 keyframes", our_seconds * 1e6, "µs")
        yield Figure(f"{name} it through protobuf's objects", their_seconds * 1e6, "µs")
        yield Figure(f"{name}: how many times faster", their_seconds / our_seconds, "x", "at least 20")
    pcm = np.zeros(16000, "<i2").tobytes()
    synthesis = min(_time_call(lambda: _synthesize(pcm), size.payloads) for _ in range(size.rounds))
    yield Figure("synthesis of a second of motion", synthesis * 1e6, "µs")


def _synthesize(pcm: bytes) -> None:
    """Synthesize the motion of some audio for the benchmark of the codec, and throw the motion away."""
    synthesizer = MotionSynthesizer(16000, 1)
    synthesizer.feed(pcm)
    synthesizer.finish()


def _time_call(work: Callable[[], object], times: int) -> float:
    """Call a function of the codec `times` times, and return how many seconds one call takes on average."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times
