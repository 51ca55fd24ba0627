"""A client that is not ours wrote down what it said and heard: its turns are found and judged."""

from dataclasses import replace

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.unplanned_turns import WAIT_NS, add_observed_turns
from spatius_sim.tests.rules.traces import KEYFRAME, Dialogue, voice
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Opened,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires.events import PlayClip, Ready, Speak, SpeakEnd, Start
from spatius_sim.wires.optional_features import AUDIO, END_MARKS

ANN = "ann"
PCM = voice("an utterance", 3 * KEYFRAME)


def motion(keyframes: int = 3, *, end: bool = True) -> bytes:
    return Dialogue().motion("up", "req", keyframes, end=end)


class Client(Dialogue):
    """What a client wrote down."""

    def says(self, pcm: bytes = PCM) -> None:
        self.client_sends(ANN, Speak(pcm[:640]), Speak(pcm[640:]), SpeakEnd())

    def is_answered(self, pcm: bytes = PCM) -> None:
        self.audio_down(ANN, pcm)
        self.audio_down(ANN, last=True)
        self.motion_down(ANN, motion(), last=True)

    def later(self, connection: str = "bob") -> None:
        """Something happens, long after."""
        self.passes(2 * WAIT_NS / 1e9)
        self.happens(Lane.DOWNSTREAM, connection, Opened())

    def seen(self, *lacks: str) -> Trace:
        header = replace(self.trace.header, halves="downstream", lacks=lacks)
        return add_observed_turns(replace(self.trace, header=header))


def turns(trace: Trace) -> list[TurnStarted | WaitEnded]:
    return [event.content for event in trace.events if isinstance(event.content, TurnStarted | WaitEnded)]


def verdicts(trace: Trace) -> dict[str, Verdict]:
    return {name: one.verdict for name, one in judge(trace).items()}


SHOWN = ("R-AUDIO-FIRST", "R-END-AUDIO", "R-CONVERSATION")


def test_each_utterance_is_a_turn_that_was_waited_for_to_the_end_of_both_halves() -> None:
    said = Client()
    said.hears(ANN, Ready("session", 24000, 24000))
    for _ in range(2):
        said.says()
        said.is_answered()
    trace = said.seen()
    one, two = TurnStarted(0, PCM, 24000), TurnStarted(1, PCM, 24000)
    assert turns(trace) == [one, WaitEnded(Awaited.TURN, True, 0), two, WaitEnded(Awaited.TURN, True, 1)]
    assert [event.seq for event in trace.events] == list(range(len(trace.events)))
    judged = judge(trace)
    assert {judged[name].verdict for name in SHOWN} == {Verdict.PASSED}
    assert judged["R-MOTION-COMPLETE"].reason == "the tape holds the downstream half alone"
    assert Verdict.FAILED not in verdicts(trace).values()


def test_what_a_client_hears_uncalled_is_a_turn_too() -> None:
    said = Client()
    said.audio_down(ANN, last=True)
    said.motion_down(ANN, motion())
    said.is_answered()
    assert turns(said.seen()) == [TurnStarted(0, PCM, 16000), WaitEnded(Awaited.TURN, True, 0)]


def test_a_clip_is_a_turn_of_what_was_heard() -> None:
    said = Client()
    said.client_sends(ANN, Start(8000), PlayClip("hello"))
    said.is_answered()
    assert turns(said.seen())[0] == TurnStarted(0, PCM, 16000)


@pytest.mark.parametrize("marked", [True, False])
def test_an_end_that_never_comes_is_told_when_the_wait_for_it_is_over(marked: bool) -> None:
    said = Client()
    said.says()
    said.audio_down(ANN, PCM, last=marked)
    said.motion_down(ANN, motion(end=False))
    said.later()
    trace = said.seen()
    assert turns(trace) == [TurnStarted(0, PCM, 16000), WaitEnded(Awaited.TURN, False, 0)]
    assert verdicts(trace)["R-END-AUDIO"] is (Verdict.PASSED if marked else Verdict.FAILED)


def test_nothing_is_missed_before_the_client_has_said_all() -> None:
    said = Client()
    said.client_sends(ANN, Speak(PCM))
    said.later()
    assert turns(said.seen()) == [TurnStarted(0, PCM, 16000)]


def test_a_turn_over_another_and_one_that_is_hung_up_on_are_nobodys_fault() -> None:
    said = Client()
    said.says()
    said.audio_down(ANN, PCM)
    said.says()
    said.happens(Lane.DOWNSTREAM, ANN, Closed(True, 1000))
    said.later()
    trace = said.seen()
    assert [type(what) for what in turns(trace)] == [TurnStarted, TurnStarted]
    assert Verdict.FAILED not in verdicts(trace).values()


def test_closing_is_the_mark_where_the_wire_says_so() -> None:
    said = Client()
    said.says()
    said.audio_down(ANN, PCM)
    said.motion_down(ANN, motion(), last=True)
    said.relay_hangs_up(ANN)
    said.relay_hangs_up("bob")
    assert turns(said.seen(END_MARKS)) == [TurnStarted(0, PCM, 16000), WaitEnded(Awaited.TURN, True, 0)]
    assert len(turns(said.seen())) == 1


def test_a_client_that_plays_what_it_said_waits_for_motion_alone() -> None:
    said = Client()
    said.says()
    said.audio_down(ANN, PCM)
    said.motion_down(ANN, motion(), last=True)
    said._events.append(Event(said.last + 1, 0, Lane.UPSTREAM, "elsewhere", Opened()))
    assert turns(said.seen(AUDIO)) == [TurnStarted(0, PCM, 16000), WaitEnded(Awaited.TURN, True, 0)]
