"""A call throws: a fault where it is fixed what the call does, and none where it is not."""

import pytest

from spatius_sim.miniatures.client.honest_clients import ThrowsWhereNothingIsFixed
from spatius_sim.miniatures.client.wrong_clients import ThrowsAtInterrupt, ThrowsAtResume, ThrowsWhileIdle
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_plan import Do, GiveAudio, Step, Wait
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tests.rules.client.client_traces import judged, motion
from spatius_sim.trace.decoder_events import PlaybackState

INTERRUPT, PAUSE, RESUME = Do("interrupt"), Do("pause"), Do("resume")
PLAYING = (GiveAudio(2000), motion(50), Wait(240), Wait(280))


class ThrowsUnlessItActs(ThrowsWhereNothingIsFixed):
    """Throws on an interrupt of nothing, too, and on a resume of what is not paused."""

    def interrupt(self) -> None:
        if self._conversation is None:
            raise ValueError("there is nothing to interrupt")
        super().interrupt()

    def resume(self) -> None:
        if self.state is not PlaybackState.PAUSED:
            raise ValueError("it is not paused")
        super().resume()


class ThrowsAtPause(ClientDecoder):
    """Pauses, and raises an error."""

    def pause(self) -> None:
        super().pause()
        raise ValueError("it was paused")


def failed(brain: type[ClientDecoder], *steps: Step) -> list[str]:
    said = judged(*steps, client=own_client_factory(brain))
    return [name for name, one in said.items() if one.verdict is Verdict.FAILED]


@pytest.mark.parametrize(
    ("brain", "steps", "named"),
    [
        (ThrowsWhileIdle, (Wait(300),), "C-STATES"),
        (ThrowsWhileIdle, (GiveAudio(400, True), motion(10), Wait(240), Wait(400), Wait(300)), "C-STATES"),
        (ThrowsAtInterrupt, (*PLAYING, INTERRUPT, Wait(300)), "C-INTERRUPT"),
        (ThrowsAtPause, (*PLAYING, PAUSE, Wait(300), RESUME, Wait(300)), "C-PAUSE"),
        (ThrowsAtResume, (*PLAYING, PAUSE, Wait(300), RESUME, Wait(300)), "C-PAUSE"),
    ],
)
def test_a_call_that_must_work_throws(
    brain: type[ClientDecoder], steps: tuple[Step, ...], named: str
) -> None:
    assert failed(brain, *steps) == [named]
    assert failed(ClientDecoder, *steps) == []


@pytest.mark.parametrize(
    "steps",
    [
        (INTERRUPT, PAUSE, RESUME, GiveAudio(0, True), Wait(300)),
        (*PLAYING, RESUME, PAUSE, PAUSE, Wait(300), RESUME, RESUME, INTERRUPT, INTERRUPT, Wait(300)),
        (GiveAudio(400, True), motion(10), Wait(390), PAUSE, Wait(300), RESUME, INTERRUPT, Wait(300)),
    ],
)
def test_where_nothing_is_fixed_a_call_may_throw(steps: tuple[Step, ...]) -> None:
    assert failed(ThrowsUnlessItActs, *steps) == []
