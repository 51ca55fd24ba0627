"""The same payload may come twice: stillness is equal to stillness."""

import pytest

from spatius_sim.miniatures.client.wrong_at_edges import DropsRepeatedPayloads
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_plan import GiveAudio, Move, PlannedPayload, Step, Wait
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tests.rules.client.client_traces import STRICT, Said, judged, motion

TWICE: tuple[Step, ...] = (
    GiveAudio(4000, True),
    Move((PlannedPayload(25), PlannedPayload(25, "again"))),
    *(motion(50), Wait(600), Wait(600), Wait(900), Wait(900)),
)


def _failed(brain: type[ClientDecoder], *steps: Step, mode: str = "audioIndependent") -> list[str]:
    said = judged(*steps, client=own_client_factory(brain), mode=mode)
    return [name for name, one in said.items() if one.verdict is Verdict.FAILED]


def test_who_drops_a_repeated_payload_breaks_the_order() -> None:
    assert _failed(DropsRepeatedPayloads, *TWICE) == ["C-MATCH"]


@pytest.mark.parametrize("mode", ["audioIndependent", STRICT])
@pytest.mark.parametrize("late_ms", [1, 500, 1500])
def test_who_shows_it_twice_is_accused_of_nothing(mode: str, late_ms: int) -> None:
    steps = (TWICE[0], Wait(late_ms), *TWICE[1:])
    assert _failed(ClientDecoder, *steps, mode=mode) == []


def test_who_goes_back_to_the_first_of_two_equal_payloads_breaks_the_order() -> None:
    said = Said()
    said.audio(64000, False, "c1")
    said.motion(1, 10, "c1")
    said.motion(1, 10, "c1")
    said.seen(state="playing", conversationId="c1")
    for shown in ([1.0, 2.0, 5.0], [9.0, 10.0], [1.0, 2.0, 3.0, 2.0]):
        said.passes(200)
        samples = said.now_ms * 16
        said.seen(state="playing", conversationId="c1", samplesPlayed=samples, keyframesRendered=shown)
    (broken,) = said.judged()["C-MATCH"].broken
    assert broken.actual == "(10, 11, 12, 1)"
