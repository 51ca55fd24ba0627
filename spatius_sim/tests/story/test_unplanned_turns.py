"""A proxy sees no intent: requests become turns, and only what could be seen is judged."""

from dataclasses import replace

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.unplanned_turns import WAIT_NS, add_observed_turns
from spatius_sim.tests.rules.traces import KEYFRAME, Dialogue, voice
from spatius_sim.trace.events import (
    Awaited,
    Event,
    Lane,
    Opened,
    Trace,
    TurnStarted,
    WaitEnded,
)

ONE = voice("one", 3 * KEYFRAME)


def proxied(said: Dialogue, subject: str, *, speech: bool = True) -> dict[str, Verdict]:
    header = replace(said.trace.header, subject=subject, halves="upstream", speech=speech)
    trace = add_observed_turns(replace(said.trace, header=header))
    return {name: judgement.verdict for name, judgement in judge(trace).items()}


def answered(keyframes: int = 3, *, marked: bool = True) -> Dialogue:
    said = Dialogue()
    said.connects("up")
    said.audio_up("up", "req", ONE)
    said.audio_up("up", "req", end=True)
    said.motion("up", "req", keyframes, end=marked)
    return said


OF_MOTION = ("S-MOTION-END", "S-MOTION-COUNT", "S-MOTION-SHAPE")


def later(said: Dialogue) -> Dialogue:
    """Something happens elsewhere, long after."""
    event = Event(said.last + 1, said.last * 10**6 + 2 * WAIT_NS, Lane.UPSTREAM, "other", Opened())
    said._events.append(event)
    return said


@pytest.mark.parametrize("speech", [True, False])
def test_a_good_request_is_a_turn_that_was_waited_for(speech: bool) -> None:
    verdicts = proxied(answered(), "server", speech=speech)
    assert {verdicts[name] for name in OF_MOTION} == {Verdict.PASSED}
    assert Verdict.FAILED not in verdicts.values()


def test_the_relay_half_is_judged_by_its_upstream_rules_alone() -> None:
    verdicts = proxied(answered(), "relay")
    passed = {name for name, verdict in verdicts.items() if verdict is Verdict.PASSED}
    assert passed == {
        "U-TOKEN",
        "U-CONFIGURE",
        "U-TURN-ID",
        "U-AUDIO-ALIGNED",
        "U-AUDIO-END",
    }
    others = {name: verdict for name, verdict in verdicts.items() if name not in passed}
    assert others.pop("R-LATE-MARK") is Verdict.NOT_APPLICABLE
    assert set(others.values()) == {Verdict.UNEXERCISED}


def test_too_few_keyframes_and_a_missing_end_are_told() -> None:
    assert proxied(answered(2), "server")["S-MOTION-COUNT"] is Verdict.FAILED
    assert proxied(later(answered(marked=False)), "server")["S-MOTION-END"] is Verdict.FAILED


def test_what_nobody_waited_for_is_not_judged() -> None:
    unmarked = answered(marked=False)
    assert proxied(unmarked, "server")["S-MOTION-END"] is Verdict.UNEXERCISED
    unmarked.closed("up", by_kit=False)
    assert proxied(later(unmarked), "server")["S-MOTION-END"] is Verdict.UNEXERCISED
    endless = Dialogue()
    endless.audio_up("up", "req", ONE)
    endless.motion("up", "req", 3, end=True)
    endless.motion("up", "unknown", 3, end=True)
    assert proxied(later(endless), "server")["S-MOTION-END"] is Verdict.UNEXERCISED


def test_audio_behind_the_answer_begins_no_second_turn() -> None:
    said = answered()
    said.audio_up("up", "req", end=True)
    trace = add_observed_turns(said.trace)
    assert [e.content for e in trace.on_lane(Lane.KIT) if isinstance(e.content, WaitEnded)] == [
        WaitEnded(Awaited.TURN, True, 0)
    ]
    assert proxied(said, "relay")["U-AUDIO-END"] is Verdict.FAILED


def test_the_same_words_on_two_connections_are_two_turns() -> None:
    said = Dialogue()
    for up in ("up-1", "up-2"):
        said.connects(up)
        said.audio_up(up, "req", ONE, end=True)
    for up in ("up-2", "up-1"):
        said.motion(up, "req", 3, end=True)
    trace = add_observed_turns(said.trace)
    assert [e.connection for e in trace.events if isinstance(e.content, TurnStarted)] == ["up-1", "up-2"]
    verdicts = proxied(said, "server")
    assert {verdicts[name] for name in OF_MOTION} == {Verdict.PASSED}
    assert Verdict.FAILED not in verdicts.values()


def test_planned_turns_stay_as_they_are() -> None:
    said = Dialogue()
    said.turn()
    planned = said.trace
    assert add_observed_turns(planned) is planned


def test_a_client_half_alone_is_judged_by_what_it_shows() -> None:
    said = Dialogue()
    said.secret_known("key#1")
    pcm = said.speaks()
    said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", b"whatever was sent")
    said.ends("ann", 0)
    trace = replace(said.trace, header=replace(said.trace.header, halves="downstream"))
    judged = judge(trace)
    passed = {name for name, judgement in judged.items() if judgement.verdict is Verdict.PASSED}
    assert passed == {"R-AUDIO-FIRST", "R-END-AUDIO", "R-SECRETS", "R-ALIVE"}
    assert judged["R-CONVERSATION"].verdict is Verdict.FAILED  # for "whatever was sent" is not motion
    assert judged["R-MOTION-VERBATIM"].reason == "the tape holds the downstream half alone"


def muted(trace: Trace) -> Trace:
    return replace(trace, header=replace(trace.header, speech=False))


def test_without_speech_one_turn_can_be_judged_and_several_cannot_be_told_apart() -> None:
    said = Dialogue()
    said.secret_known("key#1")
    said.turn()
    one = judge(muted(said.trace))
    assert one["R-MOTION-COMPLETE"].verdict is Verdict.PASSED
    assert one["R-AUDIO-COMPLETE"].reason == "the tape holds no speech"
    said.turn("ann", 1)
    two = judge(muted(said.trace))
    assert two["R-MOTION-COMPLETE"].verdict is Verdict.UNEXERCISED
    assert two["R-MOTION-VERBATIM"].verdict is Verdict.PASSED


def test_no_rule_for_a_motion_server_needs_speech() -> None:
    said = Dialogue("server")
    said.connects("session-1")
    said.starts("session-1", 0, ONE)
    said.audio_up("session-1", "req", ONE, end=True)
    said.motion("session-1", "req", 3, end=True)
    said.ends("session-1", 0)
    kept, taken = judge(said.trace), judge(muted(said.trace))
    assert {name: one.verdict for name, one in taken.items()} == {
        name: one.verdict for name, one in kept.items()
    }
    assert taken["S-CONFIRM"].verdict is Verdict.PASSED
    assert all(one.reason != "the tape holds no speech" for one in taken.values())
