"""Foreign motion has another id than the current conversation. It must change nothing, at once or later."""

import pytest

from spatius_sim.miniatures.client.wrong_after_pauses import StartsThoughInterrupted
from spatius_sim.miniatures.client.wrong_at_edges import DropsMotionInAGap, TakesNoMotionAfterForeignJunk
from spatius_sim.miniatures.client.wrong_between_conversations import KeepsAudioOnlyMotionForNext
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_plan import Do, GiveAudio, Move, Ref, Step, Wait
from spatius_sim.plans.make_fixed_client_plans import play_some, play_whole
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tests.rules.client.client_traces import judged, motion

AFTER_JUNK: tuple[Step, ...] = (
    *(*play_whole(3000), GiveAudio(3000), motion(14), Wait(240), motion(10, ref=Ref(1), form="junk")),
    *(motion(61), Wait(240), Wait(280), Wait(320)),
)
INTERRUPTED_AT_ONCE: tuple[Step, ...] = (
    *(*play_whole(3000), GiveAudio(3000), Do("interrupt"), Wait(300), Wait(300), Wait(900)),
    *play_whole(2000),
)
IN_AUDIO_ONLY: tuple[Step, ...] = (
    *(*play_whole(3000), *play_some(), Move(()), motion(30), GiveAudio(0, True)),
    *(*play_some(), Wait(240), Wait(280), Wait(320)),
)
IN_A_GAP: tuple[Step, ...] = (
    *(*play_whole(4000), GiveAudio(1000), motion(25), Wait(700), Wait(700), motion(75), Wait(300)),
    *(GiveAudio(3000, True), Wait(240), Wait(280), Wait(320), Wait(900)),
)


@pytest.mark.parametrize(
    ("brain", "steps", "rule_id"),
    [
        (TakesNoMotionAfterForeignJunk, AFTER_JUNK, "C-MISMATCH"),
        (StartsThoughInterrupted, INTERRUPTED_AT_ONCE, "C-STATES"),
        (KeepsAudioOnlyMotionForNext, IN_AUDIO_ONLY, "C-EMPTY-STICKY"),
        (DropsMotionInAGap, IN_A_GAP, "C-MATCH"),
    ],
)
def test_it_is_named_by_its_rule_alone(
    brain: type[ClientDecoder], steps: tuple[Step, ...], rule_id: str
) -> None:
    assert _failed(brain, *steps) == [rule_id]
    assert _failed(ClientDecoder, *steps) == []


def _failed(brain: type[ClientDecoder], *steps: Step) -> list[str]:
    said = judged(*steps, client=own_client_factory(brain))
    return [name for name, one in said.items() if one.verdict is Verdict.FAILED]
