"""Scenarios as values refuse what cannot be, and their faults happen when they should."""

from collections import Counter

import pytest

from spatius_sim.model.scenario.fault_events import make_fault_event
from spatius_sim.model.scenario.faults_by_id import APPS, AVATARS, faults_of, list_fault_ids
from spatius_sim.model.scenario.scenario import (
    ACTION_BY_NAME,
    ALLOWED_ACTIONS,
    NAME_BY_ACTION,
    NO_FAULTS,
    CloseWith,
    Delay,
    Drop,
    Fault,
    FaultAction,
    GrowTo,
    Moment,
    Refuse,
    Reset,
    Scenario,
    SendError,
    SendGarbage,
    Stall,
    When,
)
from spatius_sim.model.scenario.scenario_player import (
    Admission,
    AudioAmount,
    ConnectionFaults,
    ScenarioPlayer,
)
from spatius_sim.model.scenario.seeded_numbers import seeded_bytes, seeded_fraction
from spatius_sim.protocol.errors import UsageError

UPGRADE = When(Moment.UPGRADE)


@pytest.mark.parametrize(
    ("make", "told_why"),
    [
        (lambda: When(Moment.TOKEN, seconds=1), "seconds does not go"),
        (lambda: When(Moment.OPEN, seconds=1, messages=1), "messages does not go"),
        (lambda: When(Moment.AUDIO, seconds=1, number=1), "number does not go"),
        (lambda: When(Moment.TOKEN, avatar="a"), "avatar does not go"),
        (lambda: When(Moment.CONFIGURE, request=1), "request does not go"),
        (lambda: When(Moment.OPEN), "needs seconds"),
        (lambda: When(Moment.AUDIO), "needs seconds or messages"),
        (lambda: When(Moment.AUDIO, seconds=1, messages=1), "needs seconds or messages"),
        (lambda: When(Moment.AUDIO, seconds=float("nan")), "seconds must lie"),
        (lambda: When(Moment.UPGRADE, probability=1.1), "probability must lie"),
        (lambda: When(Moment.UPGRADE, connection=-1), "connection must lie"),
        (lambda: Refuse(199), "status must lie"),
        (lambda: Refuse(400, "a", "b"), "exclude each other"),
        (lambda: SendError(2**31, "x"), "code must lie"),
        (lambda: CloseWith(1006), "cannot be sent"),
        (lambda: CloseWith(999), "cannot be sent"),
        (lambda: CloseWith(1000, "x" * 124), "123 bytes"),
        (lambda: Delay(-1), "seconds must lie"),
        (lambda: Delay(1, float("inf")), "jitter must lie"),
        (lambda: SendGarbage(0), "bytes must lie"),
        (lambda: GrowTo(2**30), "bytes must lie"),
        (lambda: Fault(UPGRADE, ()), "something that happens"),
        (lambda: Fault(UPGRADE, (Drop(),)), "drop does not go with at: upgrade"),
    ],
)
def test_what_cannot_be_is_a_usage_error(make: object, told_why: str) -> None:
    assert callable(make)
    with pytest.raises(UsageError, match=told_why):
        make()


def test_the_texts_of_a_session_that_is_over_are_those_of_the_service() -> None:
    """seed: the SDKs' own tests."""
    told = {word: [action.message for action in fault.what if isinstance(action, SendError | Refuse)]
            for word, (_, fault) in AVATARS.items()}  # fmt: skip
    assert told["broke"] == ["session denied: credits exhausted"]
    assert told["drained"] == ["Credits exhausted"]


def test_every_fault_has_a_name_and_a_moment() -> None:
    assert set(ACTION_BY_NAME.values()) == set().union(*ALLOWED_ACTIONS.values())
    assert NAME_BY_ACTION[SendError] == "error"


def test_dice_are_a_function_of_the_seed() -> None:
    assert seeded_fraction(1, "a", 2) == seeded_fraction(1, "a", 2) != seeded_fraction(2, "a", 2)
    assert 0 <= min(seeded_fraction(1, n) for n in range(500)) < 0.01
    assert 0.99 < max(seeded_fraction(1, n) for n in range(500)) < 1
    assert seeded_bytes(1, 100, "x")[:50] == seeded_bytes(1, 50, "x") != seeded_bytes(2, 50, "x")
    assert len(seeded_bytes(1, 100)) == 100


def faults(*steps: tuple[When, FaultAction], seed: int = 0, number: int = 1) -> ConnectionFaults:
    return ConnectionFaults(seed, number, [Fault(when, (what,)) for when, what in steps])


def test_audio_faults_happen_once_when_enough_has_come() -> None:
    awaiting = faults(
        (When(Moment.AUDIO, seconds=2), Stall()),
        (When(Moment.AUDIO, messages=3), Reset()),
        (When(Moment.AUDIO, messages=1, probability=0), CloseWith()),
        (When(Moment.INTERRUPT), CloseWith()),
    )
    came = [awaiting.actions_after_audio(AudioAmount(0.9 * n, n), 1, AudioAmount(0, 0)) for n in range(1, 5)]
    assert came == [[], [], [Stall(), Reset()], []]
    assert awaiting.may_act_at(Moment.AUDIO)
    assert not awaiting.may_act_at(Moment.RESPONSE)


def test_audio_of_a_named_request_is_counted_in_it_alone() -> None:
    awaiting = faults(
        (When(Moment.AUDIO, seconds=1, request=2), Stall()), (When(Moment.AUDIO, messages=5), Reset())
    )
    first, second = AudioAmount(1.5, 4), AudioAmount(3, 9)
    assert awaiting.actions_after_audio(first, 1, first) == []
    assert awaiting.actions_after_audio(second, 2, AudioAmount(0.5, 1)) == [Reset()]
    assert awaiting.actions_after_audio(second, 2, AudioAmount(1, 2)) == [Stall()]


def test_the_responses_of_a_named_request_alone_are_spoilt() -> None:
    awaiting = faults((When(Moment.RESPONSE, number=1, request=2), Drop()))
    assert [awaiting.actions_at_response(1, request) for request in (1, 2, 3)] == [[], [Drop()], []]


def test_requests_are_counted_over_all_connections() -> None:
    director = ScenarioPlayer()
    first, second = director.faults_of_new_connection("", ""), director.faults_of_new_connection("", "")
    numbers = [faults.requests.next_number() for faults in (first, second, first)]
    assert numbers == [1, 2, 3]
    director.play(NO_FAULTS)
    assert director.faults_of_open_connection("", "").requests.next_number() == 1


def test_an_upgrade_is_refused_once_a_request_has_begun() -> None:
    fault = Fault(When(Moment.UPGRADE, request=2), (Refuse(402),))
    director = ScenarioPlayer(0, Scenario("one", "", (fault,)))
    for refused in (None, None, Refuse(402), Refuse(402)):
        faults = director.faults_of_new_connection("", "")
        assert faults.admit_upgrade().ending == refused
        faults.requests.next_number()


def test_what_names_a_connection_spares_those_that_are_open() -> None:
    named = Fault(When(Moment.AUDIO, messages=1, connection=1), (Stall(),))
    unnamed = Fault(When(Moment.AUDIO, messages=1), (Reset(),))
    director = ScenarioPlayer(0, Scenario("x", "x", (named, unnamed)))
    assert director.faults_of_open_connection("", "").faults == (unnamed,)
    assert director.faults_of_new_connection("", "").faults == (named, unnamed)


def test_response_faults_happen_at_their_number_or_always() -> None:
    awaiting = faults((When(Moment.RESPONSE, number=2), Drop()), (When(Moment.RESPONSE), Stall()))
    assert [awaiting.actions_at_response(n) for n in (1, 2, 3)] == [[Stall()], [Drop(), Stall()], [Stall()]]


def test_a_probability_is_drawn_each_time_and_from_the_seed() -> None:
    def drawn(seed: int) -> list[int]:
        often = faults((When(Moment.RESPONSE, probability=0.25), Drop()), seed=seed)
        return [len(often.actions_at_response(n)) for n in range(400)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 70 < Counter(drawn(1))[1] < 130


def test_timed_faults_tell_their_seconds() -> None:
    timed = faults(
        (When(Moment.OPEN, seconds=3), Reset()), (When(Moment.SILENCE, seconds=2, probability=0), Stall())
    )
    assert timed.seconds_until_faults(Moment.OPEN) == {0: 3}
    assert timed.seconds_until_faults(Moment.SILENCE) == {1: 2}
    assert list(timed.actions_after_wait(0)) == [Reset()]
    assert list(timed.actions_after_wait(1)) == []


def test_a_door_waits_and_then_ends() -> None:
    both = (Delay(2), Refuse(503), Stall())
    entrance = ConnectionFaults(0, 1, [Fault(UPGRADE, both)]).admit_upgrade()
    assert entrance == Admission(
        2.0, Refuse(503), (make_fault_event(Delay(2)), make_fault_event(Refuse(503)))
    )
    jittery = ConnectionFaults(0, 1, [Fault(UPGRADE, (Delay(1, 1),))]).admit_upgrade()
    assert 1 < jittery.wait < 2
    assert jittery.ending is None
    assert ConnectionFaults().admit_upgrade() == Admission()


def test_a_fault_of_another_place_is_a_fault_of_ours() -> None:
    connected = ScenarioPlayer(0, Scenario("x", "x", (wrong(),))).faults_of_new_connection("", "")
    with pytest.raises(AssertionError):
        connected.admit_upgrade()


def wrong() -> Fault:
    """A fault that the constructor would refuse."""
    fault = Fault(UPGRADE, (Reset(),))
    object.__setattr__(fault, "what", (Drop(),))
    return fault


def test_a_scenario_concerns_those_whom_it_names() -> None:
    played = Scenario(
        "x",
        "x",
        (
            Fault(When(Moment.TOKEN, connection=2), (Refuse(401),)),
            Fault(When(Moment.UPGRADE, app="a"), (Refuse(404),)),
            Fault(When(Moment.UPGRADE, avatar="v"), (Refuse(402),)),
            Fault(When(Moment.UPGRADE, connection=4), (Refuse(500),)),
        ),
    )
    director = ScenarioPlayer(1, played)
    assert [director.admit_token_request("").ending for _ in range(3)] == [None, Refuse(401), None]
    came = [("a", ""), ("", "v"), ("", ""), ("", ""), ("", "")]
    endings = [director.faults_of_new_connection(app, avatar).admit_upgrade().ending for app, avatar in came]
    assert endings == [Refuse(404), Refuse(402), None, Refuse(500), None]
    director.play(played)
    assert [director.admit_token_request("").ending for _ in range(2)] == [None, Refuse(401)]
    director.play(NO_FAULTS)
    assert director.faults_of_new_connection("a", "v").faults == ()


def test_ids_mean_what_the_glossary_says() -> None:
    assert faults_of("sim-app", "sim-avatar") == []
    assert faults_of("unknown-1", "broke-1") == [APPS["unknown"][1], AVATARS["broke"][1]]
    assert len(list_fault_ids()) == len(APPS) + len(AVATARS) + 5
