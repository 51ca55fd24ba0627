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


def _decode_with_protobuf_objects(encoded_response: bytes) -> Keyframes:
    """Decode a motion response with the classes that protobuf generates, and return its keyframes. The
    benchmark compares our own decoder with this."""
    envelope = wire.Message()
    envelope.ParseFromString(encoded_response)
    motion = wire.Motion()
    motion.ParseFromString(envelope.server_response_animation.animation)
    rows = np.empty((len(motion.keyframes), WIDTH), np.float32)
    for row, keyframe in zip(rows, motion.keyframes, strict=True):
        for name, columns in FIELDS.items():
            row[columns] = getattr(keyframe, name)
    return rows


def _encode_with_protobuf_objects(response: MotionResponse) -> bytes:
    """Encode a motion response with the classes that protobuf generates, and return the bytes. The benchmark
    compares our own encoder with this."""
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
    """Yield figures of the codec: how long it takes to encode and to decode a motion response, with our code
    and with protobuf's objects. Yield also how long it takes to synthesize a second of motion."""
    keyframes = np.random.Generator(np.random.PCG64(1)).uniform(-1, 1, (100, WIDTH)).astype(np.float32)
    response = MotionResponse("connection", "request", end=True, keyframes=keyframes)
    encoded = encode(response)
    calls: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "encode": (lambda: encode(response), lambda: _encode_with_protobuf_objects(response)),
        "decode": (lambda: decode(encoded), lambda: _decode_with_protobuf_objects(encoded)),
    }
    for name, (our_call, protobuf_call) in calls.items():
        our_seconds, protobuf_seconds = (
            min(_time_call(call, size.call_count) for _ in range(size.round_count))
            for call in (our_call, protobuf_call)
        )
        yield Figure(f"{name} a payload of 100 keyframes", our_seconds * 1e6, "µs")
        yield Figure(f"{name} it through protobuf's objects", protobuf_seconds * 1e6, "µs")
        yield Figure(f"{name}: how many times faster", protobuf_seconds / our_seconds, "x", "at least 20")
    pcm = np.zeros(16000, "<i2").tobytes()
    synthesis_seconds = min(
        _time_call(lambda: _synthesize_motion(pcm), size.call_count) for _ in range(size.round_count)
    )
    yield Figure("synthesis of a second of motion", synthesis_seconds * 1e6, "µs")


def _synthesize_motion(pcm: bytes) -> None:
    """Synthesize motion for this audio, to measure how long that takes, and throw the motion away."""
    synthesizer = MotionSynthesizer(16000, 1)
    synthesizer.feed(pcm)
    synthesizer.finish()


def _time_call(call: Callable[[], object], call_count: int) -> float:
    """Call this function `call_count` times, and return how many seconds one call takes on average."""
    started_at = time.perf_counter()
    for _ in range(call_count):
        call()
    return (time.perf_counter() - started_at) / call_count
