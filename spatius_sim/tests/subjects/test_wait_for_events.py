"""How long a subject is waited for, that shows life or shows none."""

import asyncio

import pytest

from spatius_sim import __version__
from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Drop,
    Fault,
    FaultAction,
    Moment,
    Scenario,
    SendError,
    Stall,
    When,
)
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.subjects.relay.watch_turns import least_fallback_seconds
from spatius_sim.subjects.wait_for_events import AdaptiveTimeout, silence_within, wait_until
from spatius_sim.trace.events import Lane, Opened, Received, TraceHeader
from spatius_sim.wires.events import Audio, Failed, Note, RelayEvent


@pytest.mark.parametrize(("spoken", "comes"), [(0.0, False), (10.0, True)])
async def test_who_plays_speech_at_its_own_pace_is_given_as_long(spoken: float, comes: bool) -> None:
    recorder = RealTimeRecorder()
    recorder.start(TraceHeader("relay", "", 1, "", __version__))

    async def plays() -> None:
        for _ in range(10):
            recorder.emit(Lane.UPSTREAM, "up", Opened())
            await asyncio.sleep(0.03)

    playing = asyncio.create_task(plays())
    assert (
        await wait_until(recorder, playing.done, AdaptiveTimeout(1.0, longest_wait=0.1), spoken=spoken)
        is comes
    )
    await playing


async def test_who_is_silent_is_not_waited_for_however_much_there_was_to_play() -> None:
    recorder = RealTimeRecorder()
    recorder.start(TraceHeader("relay", "", 1, "", __version__))
    async with asyncio.timeout(5):
        assert not await wait_until(recorder, bool, AdaptiveTimeout(0.1), spoken=60.0)


async def _silence_seen(said: RelayEvent) -> float:
    """The longest pause that counts, of a relay that says this after a while and nothing more."""
    recorder, settling = RealTimeRecorder(), AdaptiveTimeout(0.4)
    recorder.start(TraceHeader("relay", "", 1, "", __version__))

    async def says() -> None:
        await asyncio.sleep(0.2)
        recorder.emit(Lane.DOWNSTREAM, "client-1", Received("", said))

    saying = asyncio.create_task(says())
    assert not await wait_until(recorder, bool, settling)
    await saying
    return settling.longest_response


@pytest.mark.parametrize("said", [Note("speaking"), Failed("Motion Server went silent")])
async def test_a_word_alone_is_no_sign_of_life(said: RelayEvent) -> None:
    assert await _silence_seen(said) == 0


async def test_audio_is_a_sign_of_life() -> None:
    assert await _silence_seen(Audio(b"\0\0", False)) > 0


def test_the_later_the_kit_itself_looks_the_less_it_knows_of_silence() -> None:
    in_time = [silence_within(seconds) for seconds in (0.0, 0.01, 0.05)]
    late = [silence_within(seconds) for seconds in (0.05, 0.1, 0.5, 5.0)]
    assert in_time == [0.0, 0.01, 0.05]
    assert late == sorted(late, reverse=True)
    assert late[-1] < 0.001


def test_who_never_comes_is_not_waited_for_as_long_each_time() -> None:
    wait = AdaptiveTimeout(15.0, least_seconds=2.0, patient_waits=2)
    wait.note_wait_in_vain()
    wait.note_wait_in_vain()
    assert wait.current_seconds == 15.0, "the waits of one run are of one length"
    assert not wait.cut_short
    wait.begin_run(patient=False)
    assert wait.current_seconds == 2.0
    wait.note_response_time(4.0)
    wait.begin_run(patient=False)
    assert wait.current_seconds == 12.0
    wait.note_response_time(9.0)
    wait.begin_run(patient=False)
    assert wait.current_seconds == 15.0


def test_a_wait_is_cut_short_only_if_nothing_came_and_more_time_was_allowed() -> None:
    wait = AdaptiveTimeout(15.0, patient_waits=1)
    wait.note_wait_in_vain()
    wait.begin_run(patient=False)
    assert not wait.cut_short
    wait.note_wait_in_vain()
    assert wait.cut_short
    wait.begin_run(patient=True)
    wait.note_wait_in_vain()
    assert wait.current_seconds == 15.0
    assert not wait.cut_short


def test_a_wait_that_ends_early_for_a_reason_of_its_own_is_cut_short() -> None:
    wait = AdaptiveTimeout(15.0)
    wait.note_wait_in_vain(cut_short=True)
    assert wait.current_seconds == 15.0
    assert wait.cut_short


@pytest.mark.parametrize(
    ("actions", "least"),
    [((), 1.0), ((CloseWith(1000),), 1.0), ((Stall(),), 2.0), ((SendError(4001, ""), Drop()), 2.0)],
)
def test_a_relay_that_is_told_of_a_failure_is_waited_for_shorter_than_one_that_has_to_notice_it(
    actions: tuple[FaultAction, ...], least: float
) -> None:
    when = When(Moment.RESPONSE, number=1)
    assert least_fallback_seconds(Scenario("", "", tuple(Fault(when, (one,)) for one in actions))) == least
