"""Each relay that is seldom wrong errs in one rare case, and in no other."""

import pytest

from spatius_sim.miniatures.relay.seldom_wrong import (
    CutsPayloadsAbove32kB,
    DoublesSinglePayload,
    ForgetsOneMarkInSeven,
    GivesUpWhereRefused,
    LosesBehindAnInterrupt,
    LosesInThirdTurn,
    SwapsInCompany,
)
from spatius_sim.miniatures.relay.wrong_relays import SwapsPayloads
from spatius_sim.model.relay.commands import ConnectUp
from spatius_sim.model.relay.relay import TOKEN_LIFE_SECONDS, PlainRelay
from spatius_sim.protocol.messages import ConfirmSession
from spatius_sim.tests.model.relay.dialogue import (
    ANN,
    BOB,
    LONG,
    SHORT,
    UP,
    motion_told,
    new_relay,
    payloads_told,
    raws,
    response,
    responses,
    speak_a_turn,
    told,
    whole_run,
)
from spatius_sim.wires.events import Audio, InterruptTurn, Motion, Speak

SESSION = "session of ann"


@pytest.mark.parametrize("payloads", [2, 3])
def test_only_a_third_turn_loses_its_last_payload(payloads: int) -> None:
    honest = motion_told(PlainRelay, payloads, turns=3)
    mean = motion_told(LosesInThirdTurn, payloads, turns=3)
    assert mean[: 2 * payloads] == honest[: 2 * payloads]
    assert mean[-1] == Motion((), True, "ann-turn-2")


def test_only_a_single_payload_is_doubled() -> None:
    assert payloads_told(DoublesSinglePayload, 1) == [(2, True)]
    assert motion_told(DoublesSinglePayload, 2) == motion_told(PlainRelay, 2)


def test_only_large_payloads_are_cut() -> None:
    relay = new_relay(CutsPayloadsAbove32kB)
    relay.on_client_action(ANN, Speak(SHORT))
    [event] = told(relay.on_server_frame(UP, bytes(40_000), response(1, end=False)[1]))
    assert isinstance(event, Motion)
    assert event.payloads == (bytes(32 * 1024),)
    assert motion_told(CutsPayloadsAbove32kB) == motion_told(PlainRelay)


def test_only_in_company_are_payloads_swapped() -> None:
    assert motion_told(SwapsInCompany) == motion_told(SwapsPayloads)
    relay = new_relay(SwapsInCompany)
    relay.on_client_action(ANN, Speak(SHORT))
    first, _ = responses(2)
    assert told(relay.on_server_frame(UP, *first)) == [Motion((first[0],), False, UP)]
    relay.on_client_connected(BOB)
    assert relay.clients == [ANN, BOB]


def test_only_every_seventh_turn_ends_unmarked() -> None:
    events = told(whole_run(ForgetsOneMarkInSeven, turns=8))
    marked = {event.turn_id for event in events if isinstance(event, Audio) and event.last}
    assert marked == {f"ann-turn-{number}" for number in (0, 1, 2, 3, 4, 5, 7)}


def test_one_that_was_turned_away_does_not_ask_again() -> None:
    relay = new_relay(GivesUpWhereRefused)
    speak_a_turn(relay, SHORT)
    relay.on_session_opened(SESSION)
    relay.on_session_lost(SESSION, "402")
    assert not any(isinstance(command, ConnectUp) for command in speak_a_turn(relay, LONG))


def test_one_that_was_served_and_lost_opens_another_session() -> None:
    relay = new_relay(GivesUpWhereRefused)
    speak_a_turn(relay, SHORT)
    relay.on_session_opened(SESSION)
    relay.on_server_frame(SESSION, b"", ConfirmSession("id"))
    relay.on_session_lost(SESSION, "gone")
    assert ConnectUp(SESSION, TOKEN_LIFE_SECONDS) in speak_a_turn(relay, LONG)


def test_loses_motion_only_after_an_interrupt() -> None:
    relay = new_relay(LosesBehindAnInterrupt)

    def turn(number: int) -> list[Motion]:
        speak_a_turn(relay, SHORT)
        relay.on_session_opened(f"ann-turn-{number}")
        relay.on_server_frame(f"ann-turn-{number}", b"", ConfirmSession("id"))
        heard = [told(relay.on_server_frame(f"ann-turn-{number}", *said)) for said in responses(2)]
        return [event for events in heard for event in events if isinstance(event, Motion)]

    def whole() -> list[tuple[bytes, ...]]:
        return [(raw,) for raw in raws(2)]

    relay.on_client_action(ANN, InterruptTurn())
    assert [motion.payloads for motion in turn(0)] == [(raws(2)[0],), ()]
    assert [motion.payloads for motion in turn(1)] == whole()
    relay.on_client_action(ANN, Speak(SHORT))
    relay.on_client_action(ANN, InterruptTurn())
    assert [motion.payloads for motion in turn(3)] == [(raws(2)[0],), ()]
    assert [motion.payloads for motion in turn(4)] == whole()
