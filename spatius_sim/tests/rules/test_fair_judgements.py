"""Judgements that were once wrong: honest subjects failed, wrong ones passed, one fault accused twice."""

import pytest

from spatius_sim.protocol.messages import AudioFormat, ConfigureSession, EgressType
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Provocation
from spatius_sim.wires.events import Interrupted

# Turns in which nothing is to be heard: what a relay makes of them, no document says.


def nothing_said(said: Dialogue, pcm: bytes, *, complete: bool = False) -> None:
    """Turn 2 of ann, in which no keyframe is spoken."""
    said.starts("ann", 1, pcm)
    said.ends("ann", 1, complete=complete)


@pytest.mark.parametrize("turn_ids", [("", "", ""), ("a", "b", "c"), ("a", "a", "c")])
def test_a_turn_that_ends_before_anything_was_said_may_be_marked_as_ended(turn_ids: tuple[str, ...]) -> None:
    said = Dialogue()
    said.turn("ann", 0, turn_ids[0])
    said.starts("ann", 1, b"")
    said.audio_down("ann", last=True, turn_id=turn_ids[1])
    said.ends("ann", 1, complete=False)
    said.turn("ann", 2, turn_ids[2])
    assert said.failed == []
    assert [len(said.judged(rule_id).broken) for rule_id in ("R-END-AUDIO", "R-CONVERSATION")] == [0, 0]
    assert said.verdict("R-TURNS") is Verdict.PASSED


@pytest.mark.parametrize("samples", [0, 1, 639])
def test_a_turn_without_a_keyframe_may_come_to_nothing(samples: int) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    nothing_said(said, voice("slight", samples))
    said.turn("ann", 2)
    assert said.failed == []
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED


def test_a_turn_without_a_keyframe_may_be_answered_like_any_other() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    sample = voice("one", 1)
    said.starts("ann", 1, sample)
    said.connects(up_of("ann", 1))
    said.echoes("ann", 1, sample)
    said.motion_down("ann", said.motion(up_of("ann", 1), req_of("ann", 1), 0, end=True))
    said.ends("ann", 1)
    said.turn("ann", 2)
    assert said.failed == []


def test_silence_need_not_be_passed_on() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    nothing_said(said, bytes(3200))
    said.turn("ann", 2)
    assert said.failed == []


def test_silence_that_a_relay_puts_in_is_nobody_elses() -> None:
    said = Dialogue()
    pause, pcm = bytes(4800), said.speaks()
    said.starts("bob", 0, voice("bob") + pause)
    said.connects(up_of("bob", 0))
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm + pause, end=True)
    said.audio_down("ann", pcm)
    said.audio_down("ann", pause, last=True)
    said.motion_down("ann", *said.answers())
    said.ends("ann", 0)
    said.echoes("bob", 0, voice("bob") + pause)
    said.motion_down("bob", *said.answers("bob"))
    said.ends("bob", 0)
    assert said.verdict("R-ISOLATION") is Verdict.PASSED
    assert "R-AUDIO-COMPLETE" not in said.failed


@pytest.mark.parametrize("sent_at_once", [True, False])
def test_speech_with_a_long_pause_is_told_by_what_is_heard(sent_at_once: bool) -> None:
    said = Dialogue()
    pauses = {client: voice(client) + bytes(9600) + voice(f"{client} again") for client in ("ann", "bob")}
    for client, pcm in pauses.items():
        said.starts(client, 0, pcm)
        said.connects(up_of(client, 0))
    for client, pcm in pauses.items():
        size = len(pcm) if sent_at_once else 3200
        for start in range(0, len(pcm), size):
            said.audio_up(up_of(client, 0), req_of(client, 0), pcm[start : start + size])
        said.audio_up(up_of(client, 0), req_of(client, 0), end=True)
        said.audio_down(client, pcm)
        said.audio_down(client, last=True)
        said.motion_down(client, *said.answers(client))
        said.ends(client, 0)
    assert said.failed == []
    assert said.verdict("U-AUDIO-COMPLETE") is Verdict.PASSED
    assert said.verdict("R-ISOLATION") is Verdict.PASSED


def test_what_was_left_of_a_turn_cut_off_ended_the_wait_for_the_next() -> None:
    said = Dialogue()
    said.turn("ann", 0, "a")
    said.echoes("ann", 1, said.speaks("ann", 1), "b")
    cut_off = said.answers("ann", 1)
    said.echoes("ann", 2, said.speaks("ann", 2), "c")
    said.motion_down("ann", *cut_off, turn_id="b")
    said.ends("ann", 2)
    late = said.answers("ann", 2)
    said.echoes("ann", 3, said.speaks("ann", 3), "d")
    said.motion_down("ann", *late, turn_id="c")
    said.motion_down("ann", *said.answers("ann", 3), turn_id="d")
    said.ends("ann", 3)
    assert said.failed == []


@pytest.mark.parametrize("spoiled", ["a fault", "an interrupt"])
def test_beside_a_client_that_misbehaves_what_else_went_wrong_excuses_a_relay(spoiled: str) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.starts("bob", 0, voice("bob"))
    said.intends("bob", Provocation.RUBBISH)
    pcm = said.speaks("ann", 1)
    if spoiled == "a fault":
        said.fault()
    else:
        said.client_interrupts("ann")
    said.audio_down("ann", pcm[:640])
    said.ends("ann", 1, complete=False)
    assert said.verdict("R-BADINPUT") is Verdict.UNEXERCISED


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
