"""In strictSync a wrong stall is told to the rule whose situation made it wrong."""

import pytest

from spatius_sim.miniatures.client.honest_clients import BuffersFirst
from spatius_sim.miniatures.client.wrong_after_pauses import ResumeEndsStall
from spatius_sim.miniatures.client.wrong_at_edges import DropsMotionThatComesInPause, StallsOnce
from spatius_sim.miniatures.client.wrong_clients import NeverStalls, RefusesUnknownFields
from spatius_sim.miniatures.client.wrong_in_strict_sync import (
    ForeignEmptyListEndsStall,
    ForeignMotionEndsStall,
    SkipsTimeOfStall,
    TellsGapsAsStalls,
)
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_edge_cases import edge_cases_of
from spatius_sim.plans.client_plan import Do, GiveAudio, Move, Ref, Step, Wait
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tests.rules.client.client_traces import INDEPENDENT, STRICT, judged, motion

_WATCH = (Wait(240), Wait(280), Wait(320), Wait(300))
_STALL: tuple[Step, ...] = (GiveAudio(3000), motion(10), *_WATCH, motion(20), *_WATCH)
_NOBODY = Ref(0, "made up")
_PAUSE, _RESUME = Do("pause"), Do("resume")
_IN_PAUSE = (_PAUSE, Wait(300), motion(45), Wait(300), _RESUME)


def _failed(brain: type[ClientDecoder], *steps: Step) -> list[str]:
    """Return the rules that this client breaks in strictSync."""
    said = judged(*steps, client=own_client_factory(brain), mode=STRICT)
    return [name for name, one in said.items() if one.verdict is Verdict.FAILED]


@pytest.mark.parametrize(
    ("brain", "rule_id", "steps"),
    [
        (ForeignMotionEndsStall, "C-MISMATCH", (motion(20, _NOBODY), *_WATCH)),
        (ForeignEmptyListEndsStall, "C-EMPTY-MISMATCH", (Move((), _NOBODY), *_WATCH)),
        (RefusesUnknownFields, "C-UNKNOWN", (motion(45, form="unknown fields"), *_WATCH)),
        (DropsMotionThatComesInPause, "C-PAUSE", (*_IN_PAUSE, *_WATCH)),
        (ResumeEndsStall, "C-STARVE", (_PAUSE, Wait(300), _RESUME, *_WATCH)),
        (NeverStalls, "C-STARVE", ()),
    ],
)
def test_a_wrong_stall_is_told_to_what_made_it_wrong(
    brain: type[ClientDecoder], rule_id: str, steps: tuple[Step, ...]
) -> None:
    assert _failed(brain, *_STALL, *steps) == [rule_id]
    assert _failed(ClientDecoder, *_STALL, *steps) == []
    assert _failed(BuffersFirst, *_STALL, *steps) == []


def test_a_stall_that_never_was_right_is_told_to_nothing_that_came_after() -> None:
    foreign = (GiveAudio(3000), motion(20, _NOBODY), *_WATCH)
    assert _failed(NeverStalls, *foreign) == []


@pytest.mark.parametrize("foreign", [motion(20, _NOBODY), Move((), _NOBODY)])
def test_audio_that_was_ahead_of_its_motion_before_is_not_told_to_what_came_after(foreign: Move) -> None:
    assert _failed(StallsOnce, *_STALL, foreign, *_WATCH) == ["C-STARVE"]


def test_who_skips_the_time_of_a_stall_does_not_break_the_rule_on_empty_lists() -> None:
    for plan in edge_cases_of("C-EMPTY"):
        said = judged(*plan.steps, client=own_client_factory(SkipsTimeOfStall), mode=plan.mode)
        assert said["C-EMPTY"].verdict is not Verdict.FAILED


def test_who_plays_half_of_its_audio_never_had_to_wait() -> None:
    class PlaysHalf(ClientDecoder):
        """Is idle after half a second."""

        def advance(self, to_ns: int) -> None:
            super().advance(to_ns)
            if self.samples_played > 8000:
                self.interrupt()

    assert _failed(PlaysHalf, GiveAudio(2000, end=True), motion(50), *_WATCH, *_WATCH) == ["C-STATES"]


def test_who_drops_all_motion_waits_for_ever() -> None:
    class DropsAll(ClientDecoder):
        """Takes no motion."""

        def yield_frames_data(self, frames: object, conversation_id: str) -> None:
            """Take nothing."""

    assert _failed(DropsAll, GiveAudio(2000), motion(50), *_WATCH) == ["C-MATCH"]


@pytest.mark.parametrize("mode", [STRICT, INDEPENDENT])
def test_a_client_that_waits_for_audio_alone_does_not_stall(mode: str) -> None:
    gap: tuple[Step, ...] = (GiveAudio(1000), motion(75), Wait(700), *_WATCH)
    for brain, verdict in ((TellsGapsAsStalls, Verdict.FAILED), (ClientDecoder, Verdict.UNEXERCISED)):
        said = judged(*gap, client=own_client_factory(brain), mode=mode)
        assert said["C-STARVE"].verdict is verdict
        assert [one.verdict for one in said.values()].count(Verdict.FAILED) == (verdict is Verdict.FAILED)


def test_where_audio_and_motion_have_both_run_out_a_stall_is_open() -> None:
    gap: tuple[Step, ...] = (GiveAudio(1000), motion(25), Wait(700), *_WATCH)
    assert _failed(TellsGapsAsStalls, *gap) == []
    assert _failed(TellsGapsAsStalls, *gap, motion(25), Wait(100)) == [], "it has just come"
    assert _failed(TellsGapsAsStalls, *gap, motion(25), *_WATCH) == ["C-STARVE"]
