"""Makes the motion payloads by which Motion Server answers one request: some while its audio comes, the rest
when its audio has ended."""

from collections.abc import Callable, Sequence
from typing import Protocol

from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.read_frames import read_upstream


class RequestMotion(Protocol):
    """The motion of one request, as encoded payloads."""

    def feed(self, audio: bytes) -> Sequence[bytes]:
        """Take the next audio, and return the payloads that are due now."""

    def finish(self) -> Sequence[bytes]:
        """Return the payloads that are left, the last with end=true."""


AnswerFactory = Callable[[str, str, int], RequestMotion]
"""A function that makes the answer from a connection_id, a req_id and a sample rate in Hz."""


class SynthesizedAnswer:
    """Makes motion from the audio, in segments as long as the recorded ones."""

    def __init__(self, connection_id: str, req_id: str, sample_rate: int, seed: int) -> None:
        """Begin to answer one request with motion that is made from its audio; the seed decides the
        motion."""
        self._connection_id, self._req_id = connection_id, req_id
        self._synthesizer = MotionSynthesizer(sample_rate, seed)

    def feed(self, audio: bytes) -> Sequence[bytes]:
        """Take the next audio of the request, and return a motion payload of the answer for each segment that
        is complete now: a sample beyond the segment's end has arrived."""
        segments = self._synthesizer.feed(audio)
        return [self._encode_payload(segment, end=False) for segment in segments] if segments else ()

    def finish(self) -> Sequence[bytes]:
        """Return the rest of the answer's motion as one payload with end=true."""
        return [self._encode_payload(self._synthesizer.finish(), end=True)]

    def _encode_payload(self, keyframes: Keyframes, *, end: bool) -> bytes:
        """Return a payload with these keyframes, as bytes."""
        return encode(MotionResponse(self._connection_id, self._req_id, end, keyframes))


class RecordedAnswer:
    """Returns recorded payloads, unchanged and with their original ids, each when its audio has arrived."""

    def __init__(self, payloads: Sequence[bytes], sample_rate: int) -> None:
        """Begin to answer one request with the motion payloads of a recording, in place of new ones.
        `sample_rate` is that of the request's audio in Hz; it decides after how much audio each payload is
        due."""
        self._sample_rate = sample_rate
        self._received_bytes = 0
        self._waiting: list[tuple[int, bytes]] = []
        """Each payload that was not returned yet, after the number of keyframes up to its end."""
        keyframe_count = 0
        for payload in payloads:
            message = read_upstream(payload)
            keyframe_count += len(message.keyframes) if isinstance(message, MotionResponse) else 0
            self._waiting.append((keyframe_count, payload))

    def feed(self, audio: bytes) -> Sequence[bytes]:
        """Take the next audio (PCM) of the request, and return the motion payloads of the recorded answer
        that are due now. A payload is due when audio after its last keyframe has arrived."""
        self._received_bytes += len(audio)
        samples = self._received_bytes // BYTES_PER_SAMPLE
        # This compares samples / sample rate with keyframes / keyframes per second, but rounds nothing.
        due_payloads = [
            payload
            for keyframe_count, payload in self._waiting
            if samples * KEYFRAMES_PER_SECOND > keyframe_count * self._sample_rate
        ]
        self._waiting = self._waiting[len(due_payloads) :]
        return due_payloads

    def finish(self) -> Sequence[bytes]:
        """Return the recorded payloads of the answer that are left."""
        rest, self._waiting = self._waiting, []
        return [payload for _, payload in rest]
