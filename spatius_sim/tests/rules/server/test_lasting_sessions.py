"""S rules: sessions that last are not ended as idle while they are spoken to, and a pause harms nothing."""

from dataclasses import replace

import pytest

from spatius_sim.model.server.capabilities import CAPABILITIES
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    LiveKitEgress,
    Pause,
    PlaybackNews,
    PlaybackPhase,
    Resume,
    ServerError,
)
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import RATE, Dialogue, voice
from spatius_sim.trace.events import Awaited, Lane, WaitEnded

SESSION, REQ = "session-1", "req-1"
IN_A_ROOM = ConfigureSession(
    RATE, egress_type=EgressType.LIVEKIT, livekit_egress=LiveKitEgress("wss://room.invalid", idle_timeout=2)
)
IDLE = ServerError(SESSION, "", 0, "No audio input for 2 seconds")


def spoken_to(pieces: int = 6, gap: float = 0.5, asked: ConfigureSession = IN_A_ROOM) -> Dialogue:
    """A session that was spoken to in pieces, with so many seconds after each."""
    said = Dialogue("server")
    said.opened(SESSION)
    said.client_says(SESSION, asked)
    said.confirms(SESSION)
    for number in range(pieces):
        said.client_says(SESSION, AudioInput(REQ, voice(f"piece {number}")))
        said.opened("another")  # What happens elsewhere does not matter.
        said.passes(gap)
    return said


def is_over(said: Dialogue) -> Dialogue:
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.SILENCE, True))
    return said


def test_a_session_that_is_not_ended_while_it_is_spoken_to() -> None:
    assert is_over(spoken_to()).verdict("S-IDLE") is Verdict.PASSED


@pytest.mark.parametrize(
    "said",
    [
        is_over(spoken_to(asked=replace(IN_A_ROOM, livekit_egress=LiveKitEgress("wss://room.invalid")))),
        is_over(spoken_to(asked=ConfigureSession(RATE))),
        is_over(spoken_to(pieces=3)),
        is_over(spoken_to(gap=1.5)),
        is_over(spoken_to(pieces=0)),
        spoken_to(),
    ],
    ids=["no time-out", "no egress", "short speech", "long gaps", "no speech", "no wait"],
)
def test_what_says_nothing_of_idle_sessions(said: Dialogue) -> None:
    assert said.verdict("S-IDLE") is Verdict.UNEXERCISED


def test_a_session_that_is_ended_as_idle_while_it_is_spoken_to() -> None:
    said = spoken_to(pieces=4)
    said.server_says(SESSION, IDLE)
    assert said.failed == ["S-IDLE"]
    [broken] = said.judged("S-IDLE").broken
    assert broken.actual == "a ServerError 0.5 s after audio says that there was none"


def test_a_session_may_be_ended_as_idle_when_the_time_has_passed() -> None:
    said = spoken_to()
    said.passes(1.6)
    said.server_says(SESSION, IDLE)
    assert said.verdict("S-IDLE") is Verdict.PASSED


def test_another_error_is_no_idle_time_out() -> None:
    said = spoken_to()
    said.server_says(SESSION, replace(IDLE, code=14, message="the room is gone"))
    assert is_over(said).verdict("S-IDLE") is Verdict.PASSED


def test_a_kit_that_was_late_itself_accuses_no_idle_time_out() -> None:
    said = spoken_to(pieces=4)
    said.lags(0.3)
    said.server_says(SESSION, IDLE)
    assert said.verdict("S-IDLE") is Verdict.INCONCLUSIVE


NEWS = PlaybackNews(SESSION, REQ, PlaybackPhase.UNKNOWN)


def paused(*capabilities: str, told: bool, waited: bool = True) -> Dialogue:
    said = Dialogue("server")
    said.opened(SESSION)
    said.configures(SESSION)
    said.server_says(SESSION, ConfirmSession(SESSION, capabilities))
    pcm = voice("paused")
    said.starts(SESSION, 0, pcm)
    said.audio_up(SESSION, REQ, pcm)
    said.client_says(SESSION, Pause(REQ))
    if told:
        said.server_says(SESSION, NEWS)
    said.client_says(SESSION, Resume(REQ))
    said.audio_up(SESSION, REQ, end=True)
    said.server_says(SESSION, ServerError(SESSION, REQ, 3, "unexpected message type"))
    if waited:
        said.ends(SESSION, 0)
    return said


def test_an_older_server_ignores_a_pause_or_refuses_it() -> None:
    assert paused(told=False).failed == []
    assert paused(told=False).verdict("S-PLAYBACK-STATE") is Verdict.PASSED
    assert paused(told=False, waited=False).verdict("S-PLAYBACK-STATE") is Verdict.UNEXERCISED


def test_a_report_of_the_playback_that_was_not_confirmed() -> None:
    assert paused(told=True).failed == ["S-PLAYBACK-STATE"]
    assert paused(*CAPABILITIES, told=True).verdict("S-PLAYBACK-STATE") is Verdict.UNEXERCISED
