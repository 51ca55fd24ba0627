"""Each miniature differs from the plain relay in its one named way, and in no other."""

import pytest

from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES
from spatius_sim.miniatures.relay.wrong_relays import (
    RELAY_MINIATURES,
    AsksForTwoDays,
    BroadcastsMotion,
    HandsOutApiKey,
    LosesAudio,
    LosesLastPayload,
    MotionInEarlierTurn,
    NeverEndsUpstream,
    NeverMarksAudioEnd,
    RewritesReqId,
    SendsEmptyFrames,
    SendsMotionFirst,
    SwapsPayloads,
    TriesOddRate,
)
from spatius_sim.miniatures.relay.wrong_with_clips import CLIP_MINIATURES
from spatius_sim.model.relay.commands import ConnectUp, RelayCommand, SendUp, Tell
from spatius_sim.model.relay.relay import SAMPLE_RATE, TOKEN_LIFE_SECONDS, PlainRelay
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession, MotionResponse
from spatius_sim.rules.catalogue import RULES, rules_for
from spatius_sim.rules.rule import Level, Rule
from spatius_sim.tests.model.relay.dialogue import (
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
from spatius_sim.wires.events import Audio, Motion, Ready, Speak


def without(kind: type, commands: list[RelayCommand]) -> list[RelayCommand]:
    """Return the commands without the events of that kind that clients are told."""
    return [c for c in commands if not (isinstance(c, Tell) and isinstance(c.event, kind))]


@pytest.mark.parametrize("rule_id", RELAY_MINIATURES)
def test_a_miniature_is_named_by_a_rule(rule_id: str) -> None:
    assert rule_id in RULES


CAN_BE_BROKEN = [rule for rule in (*rules_for("relay"), *rules_for("client")) if rule.level is not Level.MAY]


@pytest.mark.parametrize("rule", CAN_BE_BROKEN, ids=lambda rule: rule.id)
def test_every_rule_has_a_miniature_that_breaks_it(rule: Rule) -> None:
    assert rule.id in {*RELAY_MINIATURES, *CLIP_MINIATURES, *CLIENT_MINIATURES}


WRONG_IN_MOTION = [
    RewritesReqId,
    LosesLastPayload,
    SwapsPayloads,
    SendsEmptyFrames,
    MotionInEarlierTurn,
    BroadcastsMotion,
]


@pytest.mark.parametrize("kind", WRONG_IN_MOTION)
def test_a_miniature_wrong_in_motion_is_honest_in_all_else(kind: type[PlainRelay]) -> None:
    wrong, honest = whole_run(kind, turns=2), whole_run(PlainRelay, turns=2)
    assert wrong != honest
    assert without(Motion, wrong) == without(Motion, honest)


@pytest.mark.parametrize("kind", [LosesAudio, NeverMarksAudioEnd])
def test_a_miniature_wrong_in_audio_is_honest_in_all_else(kind: type[PlainRelay]) -> None:
    wrong, honest = whole_run(kind, turns=2), whole_run(PlainRelay, turns=2)
    assert wrong != honest
    assert without(Audio, wrong) == without(Audio, honest)


def test_rewrites_the_req_id() -> None:
    for event, (_, sent) in zip(motion_told(RewritesReqId), responses(3), strict=True):
        got = decode(event.payloads[0])
        assert got == MotionResponse(sent.connection_id, "ann-turn-0", sent.end, sent.keyframes)


def test_loses_the_last_payload_and_marks_an_empty_list() -> None:
    events = motion_told(LosesLastPayload)
    assert [event.payloads for event in events] == [(raw,) for raw in raws(3)[:2]] + [()]
    assert [event.last for event in events] == [False, False, True]


@pytest.mark.parametrize("kind", [LosesLastPayload, SwapsPayloads, MotionInEarlierTurn])
def test_with_one_payload_and_one_turn_nothing_can_be_wrong(kind: type[PlainRelay]) -> None:
    assert whole_run(kind, payloads=1) == whole_run(PlainRelay, payloads=1)


@pytest.mark.parametrize(("payloads", "order"), [(2, [2, 1]), (3, [2, 1, 3])])
def test_swaps_the_first_two_payloads(payloads: int, order: list[int]) -> None:
    events = motion_told(SwapsPayloads, payloads)
    sent = raws(payloads)
    assert [raw for event in events for raw in event.payloads] == [sent[number - 1] for number in order]
    assert [event.last for event in events][-1]


def test_loses_20_ms_of_every_longer_chunk() -> None:
    assert [event.pcm for event in audio_told(LosesAudio)] == [SHORT, LONG[640:], b""]


def test_sends_motion_first_and_then_all_that_it_held() -> None:
    events = told(whole_run(SendsMotionFirst))
    honest = told(whole_run(PlainRelay))
    audio, motion = honest[:3], honest[3:]
    assert events == [motion[0], *audio, *motion[1:]]


def test_sends_audio_at_once_when_motion_has_gone_out() -> None:
    relay = SendsMotionFirst(KEY, lambda: "req-1")
    relay.on_client_connected(ANN)
    relay.on_client_action(ANN, Speak(SHORT))
    relay.on_session_opened("ann-turn-0")
    relay.on_server_frame("ann-turn-0", b"", ConfirmSession("id"))
    relay.on_server_frame("ann-turn-0", *response(1, end=False))
    assert Tell(ANN, Audio(LONG, turn_id="ann-turn-0")) in relay.on_client_action(ANN, Speak(LONG))


def test_never_marks_the_end_of_audio() -> None:
    assert [(event.pcm, event.last) for event in audio_told(NeverMarksAudioEnd)] == [
        (SHORT, False),
        (LONG, False),
    ]


def test_sends_an_empty_list_before_the_first_payload() -> None:
    empty = Motion((), False, "ann-turn-0")
    assert motion_told(SendsEmptyFrames) == [empty, *motion_told(PlainRelay)]


def test_labels_motion_with_the_turn_before() -> None:
    labels = [event.turn_id for event in motion_told(MotionInEarlierTurn, payloads=1, turns=3)]
    assert labels == ["ann-turn-0", "ann-turn-0", "ann-turn-1"]


def test_broadcasts_motion() -> None:
    commands = whole_run(BroadcastsMotion)
    assert told(commands) == told(whole_run(PlainRelay))
    payloads = [event.payloads for event in told(commands, BOB) if isinstance(event, Motion)]
    assert payloads == [(raw,) for raw in raws(3)]


def test_hands_out_the_api_key() -> None:
    greetings = whole_run(HandsOutApiKey)[:2]
    assert greetings == [Tell(client, Ready(KEY, SAMPLE_RATE, SAMPLE_RATE)) for client in (ANN, BOB)]
    assert whole_run(HandsOutApiKey)[2:] == whole_run(PlainRelay)[2:]


def test_never_ends_upstream() -> None:
    ends = [
        command.message.end
        for command in whole_run(NeverEndsUpstream)
        if isinstance(command, SendUp) and isinstance(command.message, AudioInput)
    ]
    assert ends == [False, False, False]


def test_asks_for_two_days_and_for_an_hour_when_refused() -> None:
    relay = AsksForTwoDays(KEY, lambda: "req-1")
    relay.on_client_connected(ANN)
    assert ConnectUp("ann-turn-0", 2 * 24 * 3600) in relay.on_client_action(ANN, Speak(SHORT))
    assert relay.on_session_lost("ann-turn-0", "refused") == [ConnectUp("ann-turn-0", TOKEN_LIFE_SECONDS)]
    assert relay.on_session_opened("ann-turn-0") == [SendUp("ann-turn-0", ConfigureSession(SAMPLE_RATE))]


def test_tries_an_odd_rate_and_a_good_one_when_refused() -> None:
    relay = TriesOddRate(KEY, lambda: "req-1")
    relay.on_client_connected(ANN)
    relay.on_client_action(ANN, Speak(SHORT))
    assert relay.on_session_opened("ann-turn-0") == [SendUp("ann-turn-0", ConfigureSession(11025))]
    relay.on_session_lost("ann-turn-0", "refused")
    assert relay.on_session_opened("ann-turn-0") == [SendUp("ann-turn-0", ConfigureSession(SAMPLE_RATE))]
