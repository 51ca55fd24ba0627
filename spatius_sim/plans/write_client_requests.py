"""Turns the steps of a client plan into requests to a testee, the program that connects a client under test
to the kit."""

from functools import lru_cache

import numpy as np

from spatius_sim.plans.client_plan import ClientPlan, Do, GiveAudio, Move, PlannedPayload, Step, Wait
from spatius_sim.wires.testee_messages import TesteeRequest


class RequestWriter:
    """Turns the steps of a plan into requests to a testee. `learn` takes the ids that the testee hands
    out."""

    def __init__(self, plan: ClientPlan) -> None:
        """Begin to write the requests for the steps of this client plan."""
        self._plan = plan
        self._ids: list[str] = []
        self._next_value = 1

    def learn(self, conversation_id: object) -> None:
        """Remember a conversation id that the client handed out; ignore what is no id, and the same id
        again."""
        if isinstance(conversation_id, str) and conversation_id not in ("", *self._ids[-1:]):
            self._ids.append(conversation_id)

    def request(self, number: int, step: Step) -> TesteeRequest:
        """Return the request to the testee that carries out one step of the plan on the client under test;
        `number` is the number of the request."""
        match step:
            case GiveAudio(ms, end, more_bytes):
                audio = _make_audio(self._plan.sample_rate, ms) + bytes(more_bytes)
                return TesteeRequest(number, "yieldAudioData", audio=audio, end=end)
            case Move(payloads, ref):
                frames = None if payloads is None else tuple(map(self._encode_payload, payloads))
                return TesteeRequest(
                    number, "yieldFramesData", frames=frames, conversation_id=ref.resolve(self._ids)
                )
            case Wait(ms):
                return TesteeRequest(number, "advance", ms=ms)
            case Do(call):
                return TesteeRequest(number, call)

    def _encode_payload(self, payload: PlannedPayload) -> bytes:
        """Return the bytes of a motion payload that the client plan describes. Each keyframe gets a value
        that no other keyframe of the plan has, unless the plan wants the latest payload once more."""
        if payload.form == "again":
            return payload.encode(self._next_value - payload.keyframes)
        raw = payload.encode(self._next_value)
        self._next_value += payload.keyframes
        return raw


@lru_cache(maxsize=64)
def _make_audio(sample_rate: int, ms: int) -> bytes:
    """Return `ms` milliseconds of PCM. It is a quiet ramp, because no rule depends on its sound."""
    return (np.arange(sample_rate * ms // 1000) % 256).astype("<i2").tobytes()
