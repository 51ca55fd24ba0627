"""Judgements that were once wrong: honest subjects failed, wrong ones passed, one fault accused twice."""

import pytest

from spatius_sim.dialects.events import Interrupted
from spatius_sim.protocol.messages import AudioFormat, ConfigureSession, EgressType
from spatius_sim.rules.catalogue import Verdict
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice

# Honest subjects.


def test_a_recording_served_to_two_clients_at_once() -> None:
    said = Dialogue()
    said.connects("pool")
    for client in ("ann", "bob"):
        said.starts(client, 0, voice(client))
    for client in ("ann", "bob"):
        said.audio_up("pool", f"req {client}", voice(client), end=True)
        said.audio_down(client, voice(client), last=True)
    for client in ("ann", "bob"):
        said.motion_down(client, said.motion("pool", "x", 5, end=True, shade=1, answers=f"req {client}"))
    for client in ("ann", "bob"):
        said.ends(client, 0)
    assert said.failed == []
    assert said.verdict("R-ISOLATION") is Verdict.PASSED


def test_two_requests_of_one_turn_answered_at_the_same_time() -> None:
    said = Dialogue()
    pcm, up = said.speaks(), up_of("ann", 0)
    said.connects("up-2")
    said.audio_up(up, "a", pcm[:3200], end=True)
    said.audio_up("up-2", "b", pcm[3200:], end=True)
    said.audio_down("ann", pcm, last=True)
    first_a, first_b = said.motion(up, "a"), said.motion("up-2", "b")
    last_a, last_b = said.motion(up, "a", end=True), said.motion("up-2", "b", end=True)
    said.motion_down("ann", first_a, last_a, first_b, last_b)
    said.ends("ann", 0)
    assert said.failed == []


def test_a_client_that_interrupts_gets_no_complete_turn() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    said.motion_down("ann", said.answers()[0])
    said.client_interrupts("ann")
    said.hears("ann", Interrupted("asked"))
    said.ends("ann", 0, complete=False)
    assert said.failed == []


def test_an_interrupt_upstream_ends_a_turn_early() -> None:
    said = Dialogue()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), said.speaks())
    said.interrupt_up(up_of("ann", 0), req_of("ann", 0))
    said.ends("ann", 0, complete=False)
    assert said.failed == []


@pytest.mark.parametrize("samples", [24_960, 23_040])
def test_resampled_audio_may_differ_by_exactly_one_keyframe(samples: int) -> None:
    said = Dialogue()
    said.ready("ann", 24_000)
    said.starts("ann", 0, voice("spoken", 16_000))
    said.connects("up")
    said.audio_up("up", "r", voice("sent up", 16_000), end=True)
    said.audio_down("ann", voice("resampled", samples), last=True)
    said.ends("ann", 0)
    assert said.verdict("R-AUDIO-COMPLETE") is Verdict.PASSED


def test_ogg_opus_up_and_pcm_down() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann"))
    said.token()
    said.opened("up")
    said.configures("up", 16000, AudioFormat.OGG_OPUS)
    said.confirms("up")
    said.audio_up("up", "r", b"OggS" * 100, end=True)
    said.audio_down("ann", voice("ann"), last=True)
    said.motion_down("ann", said.motion("up", "r", 5, end=True))
    said.ends("ann", 0)
    assert said.failed == []


def test_audio_sent_again_after_the_server_hung_up() -> None:
    said = Dialogue()
    pcm = voice("ann")
    said.starts("ann", 0, pcm)
    said.connects("up-1")
    said.audio_up("up-1", "r", pcm)
    said.closed("up-1", by_kit=True)
    said.connects("up-2")
    said.audio_up("up-2", "s", pcm, end=True)
    said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", said.motion("up-2", "s", 5, end=True))
    said.ends("ann", 0)
    assert said.failed == []


@pytest.mark.parametrize(("audio_id", "motion_id"), [("turn", ""), ("", "turn")])
def test_a_wire_that_labels_one_half_only(audio_id: str, motion_id: str) -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks(), audio_id)
    said.motion_down("ann", *said.answers(), turn_id=motion_id)
    said.ends("ann", 0)
    assert said.failed == []
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED


def asked_of_a_server(configured: ConfigureSession | None) -> Dialogue:
    said = Dialogue("server")
    if configured is not None:
        said.client_says("s", configured)
        said.confirms("s")
    said.starts("s", 0, voice("x"))
    said.audio_up("s", "r", voice("x"), end=True)
    return said


def test_a_server_is_silent_on_the_socket_under_an_egress() -> None:
    said = asked_of_a_server(ConfigureSession(16000, egress_type=EgressType.LIVEKIT))
    said.ends("s", 0, complete=False)
    assert said.failed == []


def test_an_error_for_the_whole_connection_excuses_what_is_under_way() -> None:
    said = asked_of_a_server(ConfigureSession(16000))
    said.error("s")
    said.ends("s", 0, complete=False)
    assert said.failed == []


@pytest.mark.parametrize("subject", ["relay", "server"])
def test_traces_that_make_no_sense_are_not_judged(subject: str) -> None:
    said = Dialogue(subject)
    said.ends("nobody", 3)
    said.starts("ann", 0, voice("ann"), 0)
    said.audio_up("up", "r", voice("ann"), end=True)
    said.ends("ann", 0)
    assert "S-MOTION-END" not in said.failed
    assert "R-MOTION-COMPLETE" not in said.failed


# Wrong subjects.


@pytest.mark.parametrize("echoes", [False, True])
def test_a_turn_that_gets_nowhere_behind_one_that_was_served(echoes: bool) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.starts("ann", 1, voice("ann 1"))
    if echoes:
        said.audio_down("ann", voice("ann 1"), last=True)
    said.ends("ann", 1, complete=False)
    assert said.failed == ["R-CONVERSATION"]


def test_audio_behind_its_own_end_mark() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm, end=True)
    said.audio_down("ann", pcm[:3200], last=True, turn_id="t")
    said.audio_down("ann", pcm[3200:], turn_id="t")
    said.motion_down("ann", *said.answers(), turn_id="t")
    said.ends("ann", 0)
    assert said.failed == ["R-END-AUDIO"]


def test_a_mark_before_the_audio_and_one_behind_it() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_down("ann", last=True)
    said.echoes("ann", 0, pcm)
    said.motion_down("ann", *said.answers())
    said.ends("ann", 0)
    assert said.failed == ["R-END-AUDIO"]


def test_audio_of_one_rate_announced_as_another() -> None:
    said = Dialogue()
    said.ready("ann", 24_000)
    said.turn()
    assert said.failed == ["R-AUDIO-COMPLETE"]


def test_a_relay_that_serves_one_client_alone_keeps_nobody_apart() -> None:
    said = Dialogue()
    said.turn("ann")
    said.starts("bob", 0, voice("bob"))
    assert said.verdict("R-ISOLATION") is Verdict.UNEXERCISED


def test_a_session_token_leaks_where_the_key_is_too_short_to_tell() -> None:
    said = Dialogue()
    said.secret_known("key#1", 8)
    said.secret_known("token#1", 150)
    said.turn()
    said.secret_seen("ann", "token#1")
    assert said.failed == ["R-SECRETS"]


# One fault, one accusation.


@pytest.mark.parametrize("last_marked", [False, True])
def test_two_turns_that_no_mark_keeps_apart(last_marked: bool) -> None:
    said = Dialogue()
    for number in (0, 1):
        pcm = said.speaks("ann", number)
        said.audio_up(up_of("ann", number), req_of("ann", number), pcm, end=True)
        said.audio_down("ann", pcm, last=last_marked and number == 1)
        said.motion_down("ann", *said.answers("ann", number))
        said.ends("ann", number, complete=False)
    assert said.failed == ["R-END-AUDIO"]


def test_the_audio_of_the_second_turn_is_lost() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = said.speaks("ann", 1)
    said.audio_up(up_of("ann", 1), req_of("ann", 1), pcm, end=True)
    said.motion_down("ann", *said.answers("ann", 1))
    said.ends("ann", 1)
    assert said.failed == ["R-AUDIO-COMPLETE"]


def test_a_silent_server_is_accused_once() -> None:
    said = asked_of_a_server(ConfigureSession(16000))
    said.ends("s", 0, complete=False)
    assert said.failed == ["S-MOTION-END"]


def test_motion_broadcast_late_is_a_matter_of_isolation_alone() -> None:
    said = Dialogue()
    for client in ("ann", "bob"):
        said.echoes(client, 0, said.speaks(client))
    ann, bob = said.answers("ann"), said.answers("bob")
    said.motion_down("ann", *ann, last=True)
    said.motion_down("bob", *bob, last=True)
    said.motion_down("bob", *ann)
    for client in ("ann", "bob"):
        said.ends(client, 0)
    assert said.failed == ["R-ISOLATION"]
