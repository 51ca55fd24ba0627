"""A proxy sees no intent: requests become turns, and only what could be seen is judged."""

from dataclasses import replace

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.unplanned_turns import WAIT_NS, add_observed_turns, with_speech
from spatius_sim.tests.rules.traces import KEYFRAME, Dialogue, up_of, voice
from spatius_sim.trace.events import (
    Awaited,
    Event,
    Lane,
    Opened,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires.events import Interrupted

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


# A relay that chooses what is spoken.


def speech_of_turns(said: Dialogue) -> list[bytes]:
    contents = [event.content for event in with_speech(said.trace).events]
    return [content.pcm for content in contents if isinstance(content, TurnStarted)]


def test_what_went_up_is_what_the_turn_said_or_the_turn_before_unless_it_was_spoken_over() -> None:
    said = Dialogue()
    for number in (0, 1):
        pcm = voice(f"chosen {number}")
        said.starts("ann", number, b"", rate=0)
        said.connects(up_of("ann", number), 24_000)
        said.echoes("ann", number, pcm)
        said.motion_down("ann", *said.answers("ann", number))
        said.ends("ann", number)
    said.starts("ann", 2, b"", rate=0)
    said.starts("ann", 3, b"", rate=0)
    said.ends("ann", 3)
    trace = with_speech(said.trace)
    started = [event.content for event in trace.events if isinstance(event.content, TurnStarted)]
    assert started == [
        TurnStarted(0, voice("chosen 0"), 24_000),
        TurnStarted(1, voice("chosen 1"), 24_000),
        TurnStarted(2, voice("chosen 1"), 24_000),
        TurnStarted(3, b"", 0),
    ]
    assert [event.seq for event in trace.events] == [event.seq for event in said.trace.events]


def test_what_several_clients_said_cannot_be_told_apart() -> None:
    said = Dialogue()
    for client in ("ann", "bob"):
        said.starts(client, 0, b"", rate=0)
        said.connects(up_of(client, 0))
        said.echoes(client, 0, voice(client))
    assert with_speech(said.trace) == said.trace


def test_a_client_spoke_what_went_up_for_the_motion_that_it_was_the_first_to_get() -> None:
    said = Dialogue()
    for client in ("ann", "bob"):
        said.starts(client, 0, b"", rate=0)
    for client in ("bob", "ann"):
        said.connects(up_of(client, 0), 24_000)
        said.echoes(client, 0, voice(client))
    of_ann, of_bob = said.answers("ann"), said.answers("bob")
    said.motion_down("bob", b"of nobody", *of_bob)
    said.motion_down("ann", *of_ann)
    said.motion_down("bob", *of_ann)
    started = {
        e.connection: e.content for e in with_speech(said.trace).events if isinstance(e.content, TurnStarted)
    }
    assert started == {
        "ann": TurnStarted(0, voice("ann"), 24_000),
        "bob": TurnStarted(0, voice("bob"), 24_000),
    }


def test_a_turn_that_was_stopped_before_its_audio_went_up_says_the_same_as_the_one_before() -> None:
    said = Dialogue()
    for number in (0, 1):
        said.starts("ann", number, b"", rate=0)
        said.connects(up_of("ann", number), 24_000)
        said.audio_up(up_of("ann", number), f"req {number}", b"" if number else voice("chosen"), end=True)
        said.motion_down(
            "ann", said.motion(up_of("ann", number), f"req {number}", 0 if number else 5, end=True)
        )
        said.ends("ann", number)
    last = [e.content for e in with_speech(said.trace).events if isinstance(e.content, TurnStarted)][-1]
    assert last == TurnStarted(1, voice("chosen"), 24_000)


@pytest.mark.parametrize("interrupts", [True, False])
def test_a_turn_without_a_request_says_the_same_as_the_one_before_if_that_was_interrupted(
    interrupts: bool,
) -> None:
    said = Dialogue()
    said.starts("ann", 0, b"", rate=0)
    said.connects(up_of("ann", 0), 24_000)
    if interrupts:
        said.client_interrupts("ann")
    said.echoes("ann", 0, voice("chosen"))
    said.starts("ann", 1, b"", rate=0)
    last = [
        event.content for event in with_speech(said.trace).events if isinstance(event.content, TurnStarted)
    ][-1]
    assert last == (TurnStarted(1, voice("chosen"), 24_000) if interrupts else TurnStarted(1, b"", 0))


@pytest.mark.parametrize(
    ("heard", "confirmed", "late_to"),
    [
        ("before", True, "the interrupted turn"),
        ("never", True, "the interrupted turn"),
        ("after", True, "the new turn"),
        ("before", False, "the new turn"),
    ],
)
def test_what_is_not_heard_after_an_interrupt_was_confirmed_is_of_the_interrupted_turn(
    heard: str, *, confirmed: bool, late_to: str
) -> None:
    first, late, new = voice("first"), voice("late"), voice("new")
    said = Dialogue()
    said.starts("ann", 0, b"", rate=0)
    said.connects("old", 24_000)
    said.audio_up("old", "first", first, end=True)
    said.client_interrupts("ann")
    said.starts("ann", 1, b"", rate=0)
    if heard == "before":
        said.audio_down("ann", late)
    said.audio_up("old", "late", late, end=True)
    if confirmed:
        said.hears("ann", Interrupted("asked"))
    if heard == "after":
        said.audio_down("ann", late)
    said.audio_up("old", "new", new, end=True)
    said.starts("ann", 2, b"", rate=0)
    speech = speech_of_turns(said)
    assert speech[:2] == ([first + late, new] if late_to == "the interrupted turn" else [first, late + new])


def test_the_confirmation_of_another_interrupt_moves_nothing() -> None:
    said = Dialogue()
    said.starts("ann", 0, b"", rate=0)
    said.connects("old", 24_000)
    said.audio_up("old", "first", voice("first"), end=True)
    said.client_interrupts("ann")
    said.starts("ann", 1, b"", rate=0)
    said.audio_down("ann", voice("second"))
    said.audio_up("old", "second", voice("second"), end=True)
    said.client_interrupts("ann")
    said.hears("ann", Interrupted("asked"))
    speech = speech_of_turns(said)
    assert speech == [voice("first"), voice("second")]


def test_an_interrupt_that_is_confirmed_before_the_next_turn_moves_nothing() -> None:
    said = Dialogue()
    said.starts("ann", 0, b"", rate=0)
    said.connects("old", 24_000)
    said.audio_up("old", "first", voice("first"), end=True)
    said.client_interrupts("ann")
    said.hears("ann", Interrupted("asked"))
    said.starts("ann", 1, b"", rate=0)
    said.audio_up("old", "new", voice("new"), end=True)
    said.hears("ann", Interrupted("nothing is heard"))
    said.starts("ann", 2, b"", rate=0)
    speech = [
        event.content.pcm
        for event in with_speech(said.trace).events
        if isinstance(event.content, TurnStarted)
    ]
    assert speech[:2] == [voice("first"), voice("new")]


def test_what_went_up_before_the_first_turn_is_of_none() -> None:
    """As a relay may warm a session up."""
    said = Dialogue()
    said.connects("up")
    said.audio_up("up", "warm-up", voice("warm-up"), end=True)
    said.starts("ann", 0, b"", rate=0)
    said.audio_up("up", "asked for", voice("asked for"), end=True)
    assert speech_of_turns(said) == [voice("asked for")]
