"""What comes in a pause, after a pause and after an end: what is certain is judged, and what is open is
not."""

import pytest

from spatius_sim.miniatures.client.honest_clients import PlaysWhenAudioComes, TakesNoIds
from spatius_sim.miniatures.client.wrong_after_pauses import LosesAudioInPause
from spatius_sim.miniatures.client.wrong_clients import StopsOnEmpty
from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.plans.client_plan import Do, GiveAudio, Move, Step, Wait
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tests.rules.client.client_traces import STRICT, Said, judged, motion
from spatius_sim.trace.decoder_events import PlaybackState
from spatius_sim.wires.testee_messages import TesteeRequest

PAUSE, RESUME = Do("pause"), Do("resume")
WHOLE = (GiveAudio(3000, True), motion(75), Wait(500), Wait(2500), Wait(300), Wait(300))
SETTLES = (Wait(500), Wait(3000), Wait(300), Wait(300))


def failed(brain: type[ClientDecoder], *steps: Step) -> list[str]:
    said = judged(*steps, client=own_client_factory(brain))
    return [name for name, one in said.items() if one.verdict is Verdict.FAILED]


BEGUN = (*WHOLE, GiveAudio(2000), motion(75), Wait(240), Wait(280), PAUSE, Wait(300))
AUDIO_IN_PAUSE = (*BEGUN, GiveAudio(400), Wait(100), GiveAudio(500), Wait(100), RESUME)


@pytest.mark.parametrize("brain", [ClientDecoder, PlaysWhenAudioComes])
def test_audio_in_a_pause_may_end_the_pause_or_wait(brain: type[ClientDecoder]) -> None:
    assert failed(brain, *AUDIO_IN_PAUSE, GiveAudio(0, True), *SETTLES) == []


def test_audio_in_a_pause_is_played_after_it() -> None:
    assert failed(LosesAudioInPause, *AUDIO_IN_PAUSE, GiveAudio(0, True), *SETTLES) == ["C-PAUSE"]


class StaysPaused(ClientDecoder):
    """A conversation that begins in a pause begins paused."""

    def _start_conversation(self) -> DecodedConversation:
        paused = self.state is PlaybackState.PAUSED
        conversation = super()._start_conversation()
        if paused:
            self.pause()
        return conversation


@pytest.mark.parametrize("brain", [ClientDecoder, StaysPaused])
def test_a_conversation_that_begins_in_a_pause_is_open(brain: type[ClientDecoder]) -> None:
    steps = (*BEGUN, GiveAudio(0, True), GiveAudio(500), *SETTLES, RESUME, GiveAudio(0, True), *SETTLES)
    assert failed(brain, *steps) == []


def seen_after_a_second_end_mark(state: str, ms: int, *, end: bool = True) -> Verdict:
    """What C-STATES says of this state so long after an empty chunk that came after the end."""
    said = Said()
    said.audio(800, True, "one")
    for _ in range(3):
        said.passes(500)
        said.seen(samplesPlayed=800)
    said.says(TesteeRequest(0, "yieldAudioData", end=end), {"conversationId": "one"})
    for _ in range(2):
        said.passes(ms)
        said.seen(state=state, samplesPlayed=800)
    return said.judged()["C-STATES"].verdict


def test_a_second_end_mark_brings_nothing_to_play() -> None:
    assert seen_after_a_second_end_mark("playing", 600) is Verdict.FAILED
    assert seen_after_a_second_end_mark("idle", 600) is Verdict.PASSED
    assert seen_after_a_second_end_mark("playing", 100) is Verdict.PASSED


def test_an_end_mark_after_audio_that_came_in_a_pause_may_leave_it_to_play() -> None:
    """Without ids nobody knows whether the audio has begun a conversation; in strictSync it waits then."""
    said = judged(
        *(PAUSE, motion(75), GiveAudio(40), GiveAudio(0, True), Wait(1000), Wait(300), RESUME, Wait(40)),
        client=own_client_factory(TakesNoIds),
        mode=STRICT,
    )
    assert Verdict.FAILED not in {one.verdict for one in said.values()}


@pytest.mark.parametrize(
    ("rule_id", "steps"),
    [
        ("C-NOEND", (GiveAudio(114), Wait(200), Move(()), Wait(200))),
        ("C-ID-CURRENT", (GiveAudio(3000), motion(15), Wait(240), PAUSE, Wait(300), Move(()))),
    ],
)
def test_a_conversation_that_an_empty_list_ends_breaks_the_rule_on_empty_lists(
    rule_id: str, steps: tuple[Step, ...]
) -> None:
    one = judged(*steps, client=own_client_factory(StopsOnEmpty))[rule_id]
    assert all("C-EMPTY" in broken.follows_from for broken in one.broken)
    assert one.broken


def test_what_an_empty_chunk_without_an_end_mark_begins_is_open() -> None:
    assert seen_after_a_second_end_mark("playing", 600, end=False) is Verdict.PASSED
