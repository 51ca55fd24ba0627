"""A relay chooses what is spoken: the speech of each turn is what went up for it."""

import pytest

from spatius_sim.story.speech_chosen_by_relay import with_speech
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import TurnStarted
from spatius_sim.wires.events import Interrupted


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


@pytest.mark.parametrize(("ended", "heard"), [(False, 3200), (True, 1600)])
def test_if_the_upload_broke_off_all_that_was_heard_is_the_speech(ended: bool, heard: int) -> None:
    said = Dialogue()
    pcm = voice("chosen")[:3200]
    said.starts("ann", 0, b"", rate=0)
    said.connects(up_of("ann", 0))
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm[:1600], end=ended)
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 0)
    assert speech_of_turns(said) == [pcm[:heard]]


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
