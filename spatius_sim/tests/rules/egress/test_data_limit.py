"""A relay that sends its messages as data packets of a room is named by E-LIMIT if one is too large."""

import numpy as np
import pytest

from spatius_sim.model.server.answers import SynthesizedAnswer
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.room_catalogue import judge_rooms
from spatius_sim.subjects.room_visit import speech_with_marks
from spatius_sim.tests.rules.egress.hand_made import RoomDialogue
from spatius_sim.trace.room_events import DataSeen
from spatius_sim.wires.events import Motion
from spatius_sim.wires.json_envelope import JsonEnvelope

RATE = 16_000
STREAM_CHUNK_BYTES = 15_000


def judged_turn(seconds: float, *, stream: bool) -> Judgement:
    """Send the motion of one turn as json-envelope messages, each as one packet or as a stream."""
    dialogue = RoomDialogue()
    answer = SynthesizedAnswer("c", "r", RATE, 1)
    payloads = [*answer.feed(speech_with_marks(seconds)), *answer.finish()]
    for number, payload in enumerate(payloads):
        for frame in JsonEnvelope().write_relay(Motion((payload,), last=payload is payloads[-1])):
            raw = frame.encode() if isinstance(frame, str) else frame
            if not stream:
                dialogue.room(DataSeen("relay", len(raw)))
                continue
            dialogue.room(DataSeen("relay", 200, f"stream-{number}", head=True))
            for size in np.diff([*range(0, len(raw), STREAM_CHUNK_BYTES), len(raw)]):
                dialogue.room(DataSeen("relay", int(size), f"stream-{number}"))
    return judge_rooms(dialogue.trace())["E-LIMIT"]


def test_a_turn_of_six_seconds_is_too_large_for_data_packets() -> None:
    judgement = judged_turn(6.0, stream=False)
    assert judgement.verdict is Verdict.FAILED
    assert judgement.broken[0].expected == "a data packet below 64,000 bytes"


def test_a_turn_of_two_seconds_fits() -> None:
    assert judged_turn(2.0, stream=False).verdict is Verdict.PASSED


@pytest.mark.parametrize("seconds", [2.0, 6.0])
def test_streams_carry_every_turn(seconds: float) -> None:
    assert judged_turn(seconds, stream=True).verdict is not Verdict.FAILED
