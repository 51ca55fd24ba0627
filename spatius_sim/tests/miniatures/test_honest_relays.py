"""The honest relays differ in what the rules leave open; the mean ones err in their one rare case alone."""

from itertools import count

import pytest

from spatius_sim.miniatures.honest_relays import (
    HONEST_RELAYS,
    BatchesPayloads,
    CutsAudioAnew,
    GreetsNobody,
    KeepsItsSession,
    MarksLastChunk,
    MarksMotionApart,
    NamesNoTurns,
    SendsAllAudioFirst,
    StartsSlowly,
)
from spatius_sim.miniatures.seldom_wrong import (
    CutsPayloadsAbove32kB,
    DoublesSinglePayload,
    ForgetsOneMarkInSeven,
    GivesUpWhereRefused,
    LosesBehindAnInterrupt,
    LosesInThirdTurn,
    SwapsInCompany,
)
from spatius_sim.miniatures.wrong_relays import SwapsPayloads
from spatius_sim.model.relay.relay import (
    ConnectUp,
    HangUp,
    PlainRelay,
    RelayCommand,
    SendUp,
    Tell,
    WatchSilence,
)
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession
from spatius_sim.tests.miniatures.test_wrong_relays import (
    ANN,
    BOB,
    KEY,
    LONG,
    SHORT,
    audio_told,
    motion_told,
    raws,
    response,
    responses,
    told,
    whole_run,
)
from spatius_sim.wires.events import Audio, Failed, InterruptTurn, Motion, Note, Ready, Speak, SpeakEnd

WHOLE = SHORT + LONG
UP = "ann-turn-0"


def new(kind: type[PlainRelay]) -> PlainRelay:
    numbers = count(1)
    relay = kind(KEY, lambda: f"req-{next(numbers)}")
    relay.client_came(ANN)
    return relay


def payloads_of(kind: type[PlainRelay], payloads: int) -> list[tuple[int, bool]]:
    """How many payloads each message bears, and whether it is marked."""
    return [(len(event.payloads), event.last) for event in motion_told(kind, payloads)]


@pytest.mark.parametrize("kind", [kind for kind in HONEST_RELAYS if kind is not KeepsItsSession])
def test_whatever_the_form_the_client_gets_the_same(kind: type[PlainRelay]) -> None:
    events = told(whole_run(kind))
    audio = [event for event in events if isinstance(event, Audio)]
    motion = [event for event in events if isinstance(event, Motion)]
    assert b"".join(event.pcm for event in audio) == WHOLE
    assert [event.last for event in audio] == [False] * (len(audio) - 1) + [True]
    assert [raw for event in motion for raw in event.payloads] == raws(3)
    assert [event.last for event in motion] == [False] * (len(motion) - 1) + [True]


def test_batches_payloads() -> None:
    assert payloads_of(BatchesPayloads, 3) == [(2, False), (1, True)]
    assert payloads_of(BatchesPayloads, 4) == [(2, False), (2, True)]


def test_cuts_audio_anew() -> None:
    relay = new(CutsAudioAnew)
    commands = relay.client_did(ANN, Speak(bytes(5000))) + relay.client_did(ANN, SpeakEnd())
    assert [len(event.pcm) for event in told(commands) if isinstance(event, Audio)] == [2048, 2048, 904]


def test_marks_the_last_chunk() -> None:
    assert [(event.pcm, event.last) for event in audio_told(MarksLastChunk)] == [(SHORT, False), (LONG, True)]


def test_sends_all_audio_first() -> None:
    relay = new(SendsAllAudioFirst)
    relay.client_did(ANN, Speak(SHORT))
    relay.upstream_opened(UP)
    relay.upstream_said(UP, b"", ConfirmSession("id"))
    first, last = responses(2)
    assert told(relay.upstream_said(UP, *first)) == []
    assert told(relay.client_did(ANN, SpeakEnd())) == [
        Audio(b"", last=True, turn_id=UP),
        Motion((first[0],), False, UP),
    ]
    assert told(relay.upstream_said(UP, *last)) == [Motion((last[0],), True, UP)]


def test_marks_the_end_of_motion_apart() -> None:
    assert payloads_of(MarksMotionApart, 2) == [(1, False), (1, False), (0, True)]


def test_names_no_turns() -> None:
    assert {event.turn_id for event in told(whole_run(NamesNoTurns))} == {""}


def test_greets_nobody_and_says_what_nobody_asked_for() -> None:
    said = [command.event for command in whole_run(GreetsNobody) if isinstance(command, Tell)]
    assert not any(isinstance(event, Ready) for event in said)
    assert sum(isinstance(event, Note) for event in said) == 5


def test_starts_slowly() -> None:
    relay = new(StartsSlowly)
    assert told(relay.client_did(ANN, Speak(SHORT))) == []
    assert told(relay.client_did(ANN, SpeakEnd())) == []
    relay.upstream_opened(UP)
    held = told(relay.upstream_said(UP, b"", ConfirmSession("id")))
    assert held == [Audio(SHORT, turn_id=UP), Audio(b"", last=True, turn_id=UP)]


def test_gives_what_it_held_where_motion_server_does_not_come() -> None:
    relay = new(StartsSlowly)
    relay.client_did(ANN, Speak(SHORT))
    assert told(relay.upstream_lost(UP, "refused")) == [Audio(SHORT, turn_id=UP)]
    assert told(relay.client_did(ANN, SpeakEnd())) == [Audio(b"", last=True, turn_id=UP)]


SESSION = "session of ann"


def speaks(relay: PlainRelay, pcm: bytes) -> list[RelayCommand]:
    return relay.client_did(ANN, Speak(pcm)) + relay.client_did(ANN, SpeakEnd())


def ups(commands: list[RelayCommand]) -> list[RelayCommand]:
    return [command for command in commands if not isinstance(command, Tell | WatchSilence)]


def test_keeps_one_session_for_all_turns() -> None:
    relay = new(KeepsItsSession)
    assert [type(command) for command in ups(speaks(relay, SHORT))] == [ConnectUp]
    assert relay.upstream_opened(SESSION) == [SendUp(SESSION, ConfigureSession(16000))]
    assert ups(relay.upstream_said(SESSION, b"", ConfirmSession("id"))) == [
        SendUp(SESSION, AudioInput("req-1", SHORT)),
        SendUp(SESSION, AudioInput("req-1", end=True)),
    ]
    raw, message = response(1, end=True)
    assert relay.upstream_said(SESSION, raw, message) == [Tell(ANN, Motion((raw,), True, UP))]
    assert ups(speaks(relay, LONG)) == [
        SendUp(SESSION, AudioInput("req-2", LONG)),
        SendUp(SESSION, AudioInput("req-2", end=True)),
    ]
    assert relay.upstream_said(SESSION, raw, message) == []  # That turn is over.
    assert ups(relay.client_did(ANN, InterruptTurn())) == []
    assert relay.client_left(ANN) == [HangUp(SESSION)]


def test_a_client_that_said_nothing_has_no_session() -> None:
    assert new(KeepsItsSession).client_left(ANN) == []


def test_all_in_one_message_opens_one_session() -> None:
    relay = new(KeepsItsSession)
    assert ups(relay.client_did(ANN, Speak(SHORT, last=True))) == [ConnectUp(SESSION, 3600)]


def test_opens_another_session_where_one_was_lost() -> None:
    relay = new(KeepsItsSession)
    speaks(relay, SHORT)
    assert relay.upstream_lost(SESSION, "died")[0] == Tell(ANN, Failed("died"))
    assert ConnectUp(SESSION, 3600) in speaks(relay, SHORT)


def test_asks_no_session_again_that_went_silent() -> None:
    relay = new(KeepsItsSession)
    relay.client_did(ANN, Speak(SHORT))
    relay.upstream_said(SESSION, b"", ConfirmSession("id"))
    assert relay.upstream_silent(UP) == [WatchSilence(UP, PlainRelay.silence_seconds)]
    relay.client_did(ANN, SpeakEnd())
    assert relay.upstream_silent(UP)[-1] == HangUp(SESSION)
    assert relay.upstream_silent(UP) == []
    assert ConnectUp(SESSION, 3600) in speaks(relay, SHORT)


@pytest.mark.parametrize("payloads", [2, 3])
def test_only_a_third_turn_loses_its_last_payload(payloads: int) -> None:
    per_turn = payloads
    honest = motion_told(PlainRelay, payloads, turns=3)
    mean = motion_told(LosesInThirdTurn, payloads, turns=3)
    assert mean[: 2 * per_turn] == honest[: 2 * per_turn]
    assert mean[-1] == Motion((), True, "ann-turn-2")


def test_only_a_single_payload_is_doubled() -> None:
    assert payloads_of(DoublesSinglePayload, 1) == [(2, True)]
    assert motion_told(DoublesSinglePayload, 2) == motion_told(PlainRelay, 2)


def test_only_large_payloads_are_cut() -> None:
    relay = new(CutsPayloadsAbove32kB)
    relay.client_did(ANN, Speak(SHORT))
    [event] = told(relay.upstream_said(UP, bytes(40_000), response(1, end=False)[1]))
    assert isinstance(event, Motion)
    assert event.payloads == (bytes(32 * 1024),)
    assert motion_told(CutsPayloadsAbove32kB) == motion_told(PlainRelay)


def test_only_in_company_are_payloads_swapped() -> None:
    assert motion_told(SwapsInCompany) == motion_told(SwapsPayloads)
    relay = new(SwapsInCompany)
    relay.client_did(ANN, Speak(SHORT))
    first, _ = responses(2)
    assert told(relay.upstream_said(UP, *first)) == [Motion((first[0],), False, UP)]
    relay.client_came(BOB)
    assert relay.clients == [ANN, BOB]


def test_only_every_seventh_turn_ends_unmarked() -> None:
    events = told(whole_run(ForgetsOneMarkInSeven, turns=8))
    marked = {event.turn_id for event in events if isinstance(event, Audio) and event.last}
    assert marked == {f"ann-turn-{number}" for number in (0, 1, 2, 3, 4, 5, 7)}


def test_one_that_was_turned_away_does_not_ask_again() -> None:
    relay = new(GivesUpWhereRefused)
    speaks(relay, SHORT)
    relay.upstream_opened(SESSION)
    relay.upstream_lost(SESSION, "402")
    assert not any(isinstance(command, ConnectUp) for command in speaks(relay, LONG))


def test_one_that_was_served_and_lost_opens_another_session() -> None:
    relay = new(GivesUpWhereRefused)
    speaks(relay, SHORT)
    relay.upstream_opened(SESSION)
    relay.upstream_said(SESSION, b"", ConfirmSession("id"))
    relay.upstream_lost(SESSION, "gone")
    assert [type(command) for command in speaks(relay, LONG) if isinstance(command, ConnectUp)] == [ConnectUp]


def test_loses_motion_behind_an_interrupt_alone() -> None:
    relay = new(LosesBehindAnInterrupt)

    def turn(number: int) -> list[Motion]:
        speaks(relay, SHORT)
        relay.upstream_opened(f"ann-turn-{number}")
        relay.upstream_said(f"ann-turn-{number}", b"", ConfirmSession("id"))
        heard = [told(relay.upstream_said(f"ann-turn-{number}", *said)) for said in responses(2)]
        return [event for events in heard for event in events if isinstance(event, Motion)]

    def whole() -> list[tuple[bytes, ...]]:
        return [(raw,) for raw in raws(2)]

    relay.client_did(ANN, InterruptTurn())
    assert [motion.payloads for motion in turn(0)] == [(raws(2)[0],), ()]
    assert [motion.payloads for motion in turn(1)] == whole()
    relay.client_did(ANN, Speak(SHORT))
    relay.client_did(ANN, InterruptTurn())
    assert [motion.payloads for motion in turn(3)] == [(raws(2)[0],), ()]
    assert [motion.payloads for motion in turn(4)] == whole()
