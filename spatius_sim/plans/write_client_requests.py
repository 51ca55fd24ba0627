"""Turns the steps of a client plan into requests to a testee, the program that connects a client under test
to the kit."""

from functools import lru_cache

import numpy as np

from spatius_sim.plans.client_plan import ClientPlan, Do, GiveAudio, Move, PlannedPayload, Step, Wait
from spatius_sim.wires.testee_messages import TesteeRequest


class RequestWriter:
    """Turns the steps of a plan into requests to a testee. `learn_id` takes the ids that the testee hands
    out."""

    def __init__(self, plan: ClientPlan) -> None:
        """Begin to write the requests for the steps of this client plan."""
        self._plan = plan
        self._conversation_ids: list[str] = []
        self._next_keyframe_number = 1

    def learn_id(self, conversation_id: object) -> None:
        """Remember a conversation id that the client handed out. Ignore anything that is no id, and an id
        that is remembered as the latest."""
        if isinstance(conversation_id, str) and conversation_id not in ("", *self._conversation_ids[-1:]):
            self._conversation_ids.append(conversation_id)

    def make_request(self, request_id: int, step: Step) -> TesteeRequest:
        """Return the request, with this id, that makes the testee carry out one step of the plan on the
        client under test."""
        match step:
            case GiveAudio(ms, end, more_bytes):
                audio = _make_audio(self._plan.sample_rate, ms) + bytes(more_bytes)
                return TesteeRequest(request_id, "yieldAudioData", audio=audio, end=end)
            case Move(payloads, ref):
                encoded_payloads = None if payloads is None else tuple(map(self._encode_payload, payloads))
                return TesteeRequest(
                    request_id,
                    "yieldFramesData",
                    frames=encoded_payloads,
                    conversation_id=ref.resolve(self._conversation_ids),
                )
            case Wait(ms):
                return TesteeRequest(request_id, "advance", ms=ms)
            case Do(call):
                return TesteeRequest(request_id, call)

    def _encode_payload(self, payload: PlannedPayload) -> bytes:
        """Return the bytes of this motion payload of the plan. Its keyframes get numbers that no keyframe
        before them has. Only the form `again` repeats the numbers of the payload before."""
        if payload.form == "again":
            return payload.encode(self._next_keyframe_number - payload.keyframes)
        raw = payload.encode(self._next_keyframe_number)
        self._next_keyframe_number += payload.keyframes
        return raw


@lru_cache(maxsize=64)
def _make_audio(sample_rate: int, ms: int) -> bytes:
    """Return `ms` milliseconds of PCM. It is a quiet ramp, because no rule depends on its sound."""
    return (np.arange(sample_rate * ms // 1000) % 256).astype("<i2").tobytes()
