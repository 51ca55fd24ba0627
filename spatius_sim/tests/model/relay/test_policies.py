"""What each value of a relay's policy changes."""

from functools import partial
from typing import Any

import pytest

from spatius_sim.model.relay.commands import ConnectUp, HangUp, RelayCommand, SendUp, Tell, WatchSilence
from spatius_sim.model.relay.policy import AudioStart, EndMark, MotionStart, RelayPolicy, SessionScope
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession, ServerError
from spatius_sim.tests.model.relay.dialogue import (
    ANN,
    LONG,
    SHORT,
    UP,
    MakeRelay,
    audio_told,
    new_relay,
    payloads_told,
    response,
    responses,
    speak_a_turn,
    told,
    whole_run,
)
from spatius_sim.wires.events import (
    Audio,
    Failed,
    InterruptTurn,
    Motion,
    Note,
    PlayClip,
    Ready,
    Speak,
    SpeakEnd,
)

SESSION = "session of ann"


def relay_with(**policy: Any) -> MakeRelay:
    """Return a maker of plain relays that have this policy."""
    return partial(PlainRelay, policy=RelayPolicy(**policy))


def test_batches_payloads() -> None:
    assert payloads_told(relay_with(payloads_per_message=2), 3) == [(2, False), (1, True)]
    assert payloads_told(relay_with(payloads_per_message=2), 4) == [(2, False), (2, True)]


@pytest.mark.parametrize(
    ("audio_end", "size", "sizes"),
    [
        (EndMark.ON_LAST, 5000, [2048, 2048, 904]),
        (EndMark.ON_LAST, 4096, [2048, 2048]),
        (EndMark.ON_LAST, 0, [0]),
        (EndMark.ON_ITS_OWN, 5000, [2048, 2048, 904, 0]),
        (EndMark.ON_ITS_OWN, 4096, [2048, 2048, 0]),
    ],
)
def test_cuts_audio_anew(audio_end: EndMark, size: int, sizes: list[int]) -> None:
    relay = new_relay(relay_with(audio_chunk_bytes=2048, audio_end=audio_end))
    pcm = (LONG * 4)[:size]
    events = told(relay.on_client_action(ANN, Speak(pcm[:100])) + speak_a_turn(relay, pcm[100:]))
    audio = [event for event in events if isinstance(event, Audio)]
    assert [len(event.pcm) for event in audio] == sizes
    assert [event.last for event in audio] == [False] * (len(audio) - 1) + [True]
    assert b"".join(event.pcm for event in audio) == pcm


def test_marks_the_last_chunk_and_holds_no_more_than_20_ms_back_for_it() -> None:
    events = audio_told(relay_with(audio_end=EndMark.ON_LAST))
    speech, held = SHORT + LONG, len(SHORT)
    assert [(event.pcm, event.last) for event in events] == [(speech[:-held], False), (speech[-held:], True)]


@pytest.mark.parametrize(("chunks", "sizes"), [([0], [0]), ([0, 100], [100]), ([100, 600], [60, 640])])
def test_marks_the_last_of_short_speech(chunks: list[int], sizes: list[int]) -> None:
    relay = new_relay(relay_with(audio_end=EndMark.ON_LAST))
    events = [event for size in chunks for event in told(relay.on_client_action(ANN, Speak(bytes(size))))]
    events += told(relay.on_client_action(ANN, SpeakEnd()))
    audio = [event for event in events if isinstance(event, Audio)]
    assert [len(event.pcm) for event in audio] == sizes
    assert [event.last for event in audio] == [False] * (len(audio) - 1) + [True]


def test_sends_all_audio_first() -> None:
    relay = new_relay(relay_with(motion_start=MotionStart.AFTER_AUDIO))
    relay.on_client_action(ANN, Speak(SHORT))
    relay.on_session_opened(UP)
    relay.on_server_frame(UP, b"", ConfirmSession("id"))
    first, last = responses(2)
    assert told(relay.on_server_frame(UP, *first)) == []
    assert told(relay.on_client_action(ANN, SpeakEnd())) == [
        Audio(b"", last=True, turn_id=UP),
        Motion((first[0],), False, UP),
    ]
    assert told(relay.on_server_frame(UP, *last)) == [Motion((last[0],), True, UP)]


def test_marks_the_end_of_motion_apart() -> None:
    assert payloads_told(relay_with(motion_end=EndMark.ON_ITS_OWN), 2) == [(1, False), (1, False), (0, True)]


def test_names_no_turns() -> None:
    assert {event.turn_id for event in told(whole_run(relay_with(names_turns=False)))} == {""}


def test_greets_nobody_and_says_what_nobody_asked_for() -> None:
    commands = whole_run(relay_with(greets=False, chatty=True))
    said = [command.event for command in commands if isinstance(command, Tell)]
    assert not any(isinstance(event, Ready) for event in said)
    assert sum(isinstance(event, Note) for event in said) == 5


def test_starts_slowly() -> None:
    relay = new_relay(relay_with(audio_start=AudioStart.WHEN_CONFIRMED))
    assert told(relay.on_client_action(ANN, Speak(SHORT))) == []
    assert told(relay.on_client_action(ANN, SpeakEnd())) == []
    relay.on_session_opened(UP)
    held = told(relay.on_server_frame(UP, b"", ConfirmSession("id")))
    assert held == [Audio(SHORT, turn_id=UP), Audio(b"", last=True, turn_id=UP)]


def test_gives_what_it_held_if_motion_server_does_not_come() -> None:
    relay = new_relay(relay_with(audio_start=AudioStart.WHEN_CONFIRMED))
    relay.on_client_action(ANN, Speak(SHORT))
    assert told(relay.on_session_lost(UP, "refused")) == [Audio(SHORT, turn_id=UP)]
    assert told(relay.on_client_action(ANN, SpeakEnd())) == [Audio(b"", last=True, turn_id=UP)]


def ups(commands: list[RelayCommand]) -> list[RelayCommand]:
    return [command for command in commands if not isinstance(command, Tell | WatchSilence)]


def test_keeps_one_session_for_all_turns() -> None:
    relay = new_relay(relay_with(session_scope=SessionScope.CLIENT))
    assert [type(command) for command in ups(speak_a_turn(relay, SHORT))] == [ConnectUp]
    assert relay.on_session_opened(SESSION) == [SendUp(SESSION, ConfigureSession(16000))]
    assert ups(relay.on_server_frame(SESSION, b"", ConfirmSession("id"))) == [
        SendUp(SESSION, AudioInput("req-1", SHORT)),
        SendUp(SESSION, AudioInput("req-1", end=True)),
    ]
    raw, message = response(1, end=True)
    assert relay.on_server_frame(SESSION, raw, message) == [Tell(ANN, Motion((raw,), True, UP))]
    assert ups(speak_a_turn(relay, LONG)) == [
        SendUp(SESSION, AudioInput("req-2", LONG)),
        SendUp(SESSION, AudioInput("req-2", end=True)),
    ]
    assert relay.on_server_frame(SESSION, raw, message) == []  # That turn is over.
    assert ups(relay.on_client_action(ANN, InterruptTurn())) == []
    assert relay.on_client_disconnected(ANN) == [HangUp(SESSION)]


def test_a_client_that_said_nothing_has_no_session() -> None:
    assert new_relay(relay_with(session_scope=SessionScope.CLIENT)).on_client_disconnected(ANN) == []


def test_all_in_one_message_opens_one_session() -> None:
    relay = new_relay(relay_with(session_scope=SessionScope.CLIENT))
    assert ups(relay.on_client_action(ANN, Speak(SHORT, last=True))) == [ConnectUp(SESSION, 3600)]


def test_opens_another_session_if_one_was_lost() -> None:
    relay = new_relay(relay_with(session_scope=SessionScope.CLIENT))
    speak_a_turn(relay, SHORT)
    assert relay.on_session_lost(SESSION, "died")[0] == Tell(ANN, Failed("died"))
    assert ConnectUp(SESSION, 3600) in speak_a_turn(relay, SHORT)


def test_a_failed_turn_leaves_the_session_to_the_next() -> None:
    relay = new_relay(relay_with(session_scope=SessionScope.CLIENT))
    speak_a_turn(relay, SHORT)
    relay.on_server_frame(SESSION, b"", ConfirmSession("id"))
    error = ServerError("id", "req-1", 4001, "Credits exhausted")
    assert relay.on_server_frame(SESSION, b"", error) == [Tell(ANN, Failed("Credits exhausted"))]
    assert SendUp(SESSION, AudioInput("req-2", LONG)) in speak_a_turn(relay, LONG)


def test_a_session_is_confirmed_though_its_turn_was_interrupted() -> None:
    relay = new_relay(relay_with(session_scope=SessionScope.CLIENT))
    relay.on_client_action(ANN, Speak(SHORT))
    relay.on_client_action(ANN, InterruptTurn())
    assert relay.on_server_frame(SESSION, b"", ConfirmSession("id")) == []
    assert SendUp(SESSION, AudioInput("req-2", LONG)) in speak_a_turn(relay, LONG)


def test_a_session_that_no_turn_needs_is_lost_without_a_word() -> None:
    relay = new_relay(relay_with(session_scope=SessionScope.CLIENT, attempts=2))
    relay.on_client_action(ANN, Speak(SHORT))
    relay.on_client_action(ANN, InterruptTurn())
    assert relay.on_server_silent(SESSION) == []
    assert relay.on_session_lost(SESSION, "gone") == [HangUp(SESSION)]


def test_a_session_for_all_turns_is_tried_again_too() -> None:
    relay = new_relay(relay_with(session_scope=SessionScope.CLIENT, attempts=2))
    relay.on_client_action(ANN, Speak(SHORT))
    assert relay.on_session_lost(SESSION, "refused") == [ConnectUp(SESSION, 3600)]


def test_asks_no_session_again_that_went_silent() -> None:
    relay = new_relay(relay_with(session_scope=SessionScope.CLIENT))
    relay.on_client_action(ANN, Speak(SHORT))
    relay.on_server_frame(SESSION, b"", ConfirmSession("id"))
    assert relay.on_server_silent(SESSION) == [WatchSilence(SESSION, RelayPolicy().silence_seconds)]
    relay.on_client_action(ANN, SpeakEnd())
    assert relay.on_server_silent(SESSION)[-1] == HangUp(SESSION)
    assert relay.on_server_silent(SESSION) == []
    assert ConnectUp(SESSION, 3600) in speak_a_turn(relay, SHORT)


def test_gathers_speech_over_an_interrupt() -> None:
    relay = new_relay(relay_with(gathers_speech=True))
    assert relay.on_client_action(ANN, Speak(SHORT)) == []
    relay.on_client_action(ANN, InterruptTurn())
    audio = [e for e in told(relay.on_client_action(ANN, Speak(LONG, last=True))) if isinstance(e, Audio)]
    assert b"".join(event.pcm for event in audio) == SHORT + LONG
    assert told(relay.on_client_action(ANN, SpeakEnd())) == []


def test_speaks_its_own_clip_when_it_is_asked_to() -> None:
    relay = new_relay(relay_with(clip=LONG))
    events = told(relay.on_client_action(ANN, PlayClip("welcome")))
    assert b"".join(event.pcm for event in events if isinstance(event, Audio)) == LONG


def test_takes_silence_for_the_end_of_speech() -> None:
    relay = new_relay(relay_with(ends_speech_after=0.5))
    commands = relay.on_client_action(ANN, Speak(LONG))
    assert WatchSilence(UP, 0.5) in commands
    ended = [event for event in told(relay.on_server_silent(UP)) if isinstance(event, Audio)]
    assert ended[-1].last
