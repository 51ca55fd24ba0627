"""Motion that comes after its time: who drops it breaks C-SYNC, and no rule about order or completeness."""

from collections.abc import Sequence

import pytest

from spatius_sim.miniatures.client.wrong_at_edges import ForgetsLateMotion
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_plan import GiveAudio, Move, PlannedPayload, Ref, Step, Wait
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tests.rules.client.client_traces import judged, motion

_WAITS = (Wait(300), Wait(600), Wait(300))
_LATE = GiveAudio(4000), Wait(1500)
"""Keyframe 37 is due."""


def _failed(brain: type[ClientDecoder], *steps: Step) -> list[str]:
    said = judged(*steps, client=own_client_factory(brain))
    return [name for name, one in said.items() if one.verdict is Verdict.FAILED]


def _at_once(*keyframes: int) -> Move:
    """Payloads of so many keyframes, in one call."""
    return Move(tuple(map(PlannedPayload, keyframes)))


@pytest.mark.parametrize(
    "steps",
    [
        (*_LATE, _at_once(26, 58, 26), *_WAITS),
        (*_LATE, _at_once(12, 58, 26), *_WAITS),
        (*_LATE, motion(20), motion(18), *_WAITS, motion(60), *_WAITS),
        (GiveAudio(4000), motion(10), Wait(1500), motion(15), _at_once(40), *_WAITS),
    ],
)
def test_dropped_late_motion_is_no_matter_of_order(steps: tuple[Step, ...]) -> None:
    assert _failed(ForgetsLateMotion, *steps) == ["C-SYNC"]
    assert _failed(ClientDecoder, *steps) == []


def test_motion_that_ends_too_early_because_some_was_dropped_is_no_matter_of_completeness() -> None:
    steps = (*_LATE, motion(26), Wait(300), Wait(300), motion(50), Wait(40), Wait(500), Wait(300))
    assert _failed(ForgetsLateMotion, *steps) == ["C-SYNC"]
    assert _failed(ClientDecoder, *steps) == []


def test_a_payload_that_came_in_time_and_is_dropped_stays_a_matter_of_order() -> None:
    class LosesSecondPayload(ClientDecoder):
        """Drops each second payload."""

        _count = 0

        def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
            self._count += 1
            if self._count % 2:
                super().yield_frames_data(frames, conversation_id)

    steps = (GiveAudio(4000), motion(20), motion(20), motion(60), Wait(700), *_WAITS)
    assert _failed(LosesSecondPayload, *steps) == ["C-MATCH"]


def test_what_is_seen_while_late_motion_catches_up_clears_nothing_of_suspicion() -> None:
    class ForgetsMotionOnForeignMotion(ClientDecoder):
        """Motion with another id clears the motion of the current conversation."""

        def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
            current = self._conversation
            if current is not None and current.conversation_id != conversation_id:
                current.motion.clear()
                current.keyframes = 0
            super().yield_frames_data(frames, conversation_id)

    foreign = motion(10, Ref(0, "made up"))
    late: tuple[Step, ...] = (
        GiveAudio(6000),
        motion(10),
        Wait(1500),
        motion(60),
        Wait(100),
        foreign,
        motion(60),
    )
    steps: tuple[Step, ...] = (
        GiveAudio(4000, True),
        motion(100),
        *[Wait(300)] * 16,
        *late,
        *[Wait(200)] * 12,
    )
    assert _failed(ForgetsMotionOnForeignMotion, *steps) == ["C-MISMATCH"]
    assert _failed(ClientDecoder, *steps) == []
