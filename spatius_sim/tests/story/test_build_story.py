"""The join: what went up and what came down, tied to the turn that it belongs to."""

import pytest

from spatius_sim.model.scenario.scenario import CloseWith, Delay, FaultAction, GrowTo, Stall, UnknownFields
from spatius_sim.protocol.messages import ConfirmSession, Interrupt, ServerError
from spatius_sim.story.build_story import build_story
from spatius_sim.story.turn_story import Story, Turn
from spatius_sim.tests.rules.traces import KEYFRAME, Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Closed, Lane, Provocation, Provoked
from spatius_sim.wires.events import Failed, NotUnderstood


def joined(said: Dialogue) -> Story:
    return build_story(said.trace)


def turn_of(story: Story, client: str, number: int) -> Turn:
    return next(turn for turn in story.turns if (turn.client, turn.number) == (client, number))


# Turns.


def test_a_turn_lasts_until_the_same_client_speaks_again() -> None:
    said = Dialogue()
    first = said.starts("ann", 0, voice("one"))
    said.starts("bob", 0, voice("other"))
    waited = said.ends("ann", 0)
    second = said.starts("ann", 1, voice("two"))
    story = joined(said)
    assert [(turn.started_seq, turn.until_seq) for turn in story.turns] == [
        (first, second),
        (first + 1, second + 1),
        (second, second + 1),
    ]
    assert turn_of(story, "ann", 0).waited_seq == waited
    assert turn_of(story, "bob", 0).waited_seq is None


def test_people_count_turns_from_one() -> None:
    said = Dialogue()
    said.starts("ann", 3, voice("one"))
    assert joined(said).turns[0].name == "turn 4 of ann"


@pytest.mark.parametrize(("samples", "clean"), [(KEYFRAME - 1, False), (KEYFRAME, True)])
def test_a_clean_turn_has_a_keyframe_of_audio(samples: int, clean: bool) -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("one", samples))
    said.ends("ann", 0)
    assert joined(said).turns[0].clean is clean


def test_a_turn_that_was_not_waited_for_is_not_clean() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("one"))
    assert joined(said).clean_turns == []


def test_a_wait_in_vain_leaves_a_turn_clean() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("one"))
    said.ends("ann", 0, complete=False)
    assert len(joined(said).clean_turns) == 1


def test_a_fault_soils_the_turns_that_it_fell_into() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.starts("bob", 0, voice("bob"))
    said.starts("ann", 1, voice("hit"))
    said.fault()
    said.ends("ann", 1)
    said.ends("bob", 0)
    said.turn("ann", 2)
    assert [(turn.client, turn.number) for turn in joined(said).clean_turns] == [("ann", 0), ("ann", 2)]


@pytest.mark.parametrize(
    "manner", [Provoked(Provocation.RUBBISH), Provoked(Provocation.UNREAD), Closed(True, 1006)]
)
def test_a_bad_client_soils_the_turns_of_all_from_then_on(manner: Provoked | Closed) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.starts("bob", 0, voice("bob"))
    said.happens(Lane.DOWNSTREAM if isinstance(manner, Closed) else Lane.KIT, "ann", manner)
    said.ends("bob", 0)
    said.turn("bob", 1)
    assert [(turn.client, turn.number) for turn in joined(said).clean_turns] == [("ann", 0)]


@pytest.mark.parametrize(
    ("faults", "clean"),
    [
        ([GrowTo(65_536), UnknownFields(), Delay(1.5)], True),
        ([Delay(2.5), Delay(1, 0.5)], True),
        ([Delay(2.5), Delay(2)], False),
        ([Stall()], False),
        ([GrowTo(65_536), CloseWith(1000)], False),
    ],
)
def test_slowness_size_and_unknown_fields_leave_a_turn_clean(faults: list[FaultAction], clean: bool) -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("one"))
    seqs = [said.fault(fault) for fault in faults]
    said.ends("ann", 0)
    turn = joined(said).turns[0]
    assert [event.seq for event in turn.faults] == seqs
    assert turn.clean is clean
    assert bool(turn.failures) is not clean


def test_a_fault_before_a_turn_soils_it_and_not_the_one_before() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.fault()
    said.starts("ann", 1, voice("hit"))
    said.ends("ann", 1)
    said.starts("ann", 2, voice("not waited for"))
    said.starts("ann", 3, voice("next"))
    said.ends("ann", 3)
    story = joined(said)
    assert [turn.number for turn in story.clean_turns] == [0, 3]
    assert turn_of(story, "ann", 3).since_seq == turn_of(story, "ann", 2).started_seq


# What went up.


def test_a_request_is_all_that_shares_a_req_id_on_a_connection() -> None:
    said = Dialogue()
    said.connects("up-1")
    first = said.audio_up("up-1", "a", b"12")
    said.audio_up("up-1", "b", b"56")
    said.audio_up("up-1", "a", b"34")
    end = said.audio_up("up-1", "a", end=True)
    said.connects("up-2", 48000)
    said.audio_up("up-2", "a", b"78")
    requests = joined(said).requests
    assert [(r.connection, r.req_id, bytes(r.audio)) for r in requests] == [
        ("up-1", "a", b"1234"),
        ("up-1", "b", b"56"),
        ("up-2", "a", b"78"),
    ]
    assert (requests[0].first_seq, requests[0].ends) == (first, [end])
    assert [request.sample_rate for request in requests] == [16000, 16000, 48000]


def test_a_request_belongs_to_the_turn_whose_audio_it_carries() -> None:
    said = Dialogue()
    said.connects("pool")
    said.starts("ann", 0, voice("ann"))
    said.starts("bob", 0, voice("bob"))
    said.audio_up("pool", "of bob", voice("bob"), end=True)
    said.audio_up("pool", "of ann", voice("ann"), end=True)
    story = joined(said)
    assert [r.req_id for r in turn_of(story, "ann", 0).requests] == ["of ann"]
    assert [r.req_id for r in turn_of(story, "bob", 0).requests] == ["of bob"]


def test_a_late_request_belongs_to_the_turn_whose_audio_it_carries() -> None:
    said = Dialogue()
    said.connects("up")
    said.starts("ann", 0, voice("one"))
    said.starts("ann", 1, voice("two"))
    said.audio_up("up", "late", voice("one"), end=True)
    assert number_of(joined(said).requests[0].turn) == 0


def number_of(turn: Turn | None) -> int:
    assert turn is not None
    return turn.number


@pytest.mark.parametrize(
    "audio", [voice("changed"), voice("two")[:30], b""], ids=["changed", "short", "none"]
)
def test_audio_that_tells_nothing_belongs_to_the_latest_turn(audio: bytes) -> None:
    said = Dialogue()
    said.connects("up")
    said.starts("ann", 0, voice("one"))
    said.audio_up("up", "first", audio)
    said.starts("ann", 1, voice("two"))
    said.audio_up("up", "second", audio)
    said.starts("ann", 2, voice("three"))
    assert [number_of(request.turn) for request in joined(said).requests] == [0, 1]


def test_audio_that_two_turns_share_belongs_to_the_latest() -> None:
    said = Dialogue()
    said.connects("up")
    said.starts("ann", 0, voice("the same"))
    said.starts("ann", 1, voice("the same"))
    said.audio_up("up", "req", voice("the same"))
    assert number_of(joined(said).requests[0].turn) == 1


def test_changed_audio_belongs_to_whoever_got_its_motion() -> None:
    said = Dialogue()
    said.connects("up")
    said.starts("ann", 0, voice("ann"))
    said.starts("bob", 0, voice("bob"))
    said.audio_up("up", "req", voice("changed"))
    said.motion_down("ann", said.motion("up", "req"))
    story = joined(said)
    assert story.requests[0].turn is turn_of(story, "ann", 0)


def test_audio_before_every_turn_belongs_to_none() -> None:
    said = Dialogue()
    said.connects("up")
    said.audio_up("up", "req", voice("warming up"))
    said.starts("ann", 0, voice("one"))
    story = joined(said)
    assert story.requests[0].turn is None
    assert story.turns[0].requests == []


def test_a_turn_with_two_req_ids_has_the_payloads_of_both_in_order() -> None:
    said = Dialogue()
    pcm = said.speaks()
    up = up_of("ann", 0)
    said.audio_up(up, "a", pcm[:3200], end=True)
    said.audio_up(up, "b", pcm[3200:], end=True)
    sent = [said.motion(up, "a"), said.motion(up, "b", end=True), said.motion(up, "a", end=True)]
    assert [payload.raw for payload in joined(said).turns[0].payloads] == sent


def test_a_response_belongs_to_the_request_that_it_names() -> None:
    said = Dialogue()
    said.connects("pool")
    for req in ("a", "b"):
        said.audio_up("pool", req, voice(req), end=True)
    of_b, of_a = said.motion("pool", "b", end=True), said.motion("pool", "a", end=True)
    story = joined(said)
    assert [[p.raw for p in request.payloads] for request in story.requests] == [[of_a], [of_b]]
    assert all(p.request is request for request in story.requests for p in request.payloads)


def test_a_recorded_response_belongs_to_the_request_that_it_answers() -> None:
    said = Dialogue()
    said.connects("up")
    said.audio_up("up", "asked", voice("one"), end=True)
    recorded = said.motion("up", "20251223042742_Oja7E-8NzYGi", end=True, answers="asked")
    assert [payload.raw for payload in joined(said).requests[0].payloads] == [recorded]


def test_a_response_to_nobody_is_no_payload() -> None:
    said = Dialogue()
    said.connects("up")
    said.motion("up", "never asked")
    said.server_says("up", ServerError("id", "never asked", 3, "?"))
    said.client_says("up", Interrupt("never asked"))
    said.server_says("up", ConfirmSession("id"))
    assert joined(said).requests == []


@pytest.mark.parametrize("subject", ["relay", "server"])
def test_a_close_of_the_kit_breaks_off_what_is_not_over(subject: str) -> None:
    """As Motion Server the kit owes motion; as a client it may only have lost its patience."""
    said = Dialogue(subject)
    said.connects("up-1")
    said.connects("up-2")
    said.audio_up("up-1", "open", voice("one"))
    said.audio_up("up-1", "ended", voice("two"), end=True)
    said.audio_up("up-1", "answered", voice("four"), end=True)
    said.motion("up-1", "answered", end=True)
    said.audio_up("up-2", "elsewhere", voice("three"))
    said.closed("up-1", by_kit=True)
    stopped_early = {request.req_id for request in joined(said).requests if request.stopped_early}
    assert stopped_early == ({"open", "ended"} if subject == "relay" else {"open"})


def test_a_relay_that_hangs_up_breaks_nothing_off() -> None:
    said = Dialogue()
    said.connects("up")
    said.audio_up("up", "open", voice("one"))
    said.closed("up", by_kit=False)
    assert not joined(said).requests[0].stopped_early


# What came down.


@pytest.mark.parametrize("turn_ids", [("", ""), ("t0", "t1")], ids=["without turn ids", "with turn ids"])
def test_two_turns_are_two_conversations(turn_ids: tuple[str, str]) -> None:
    said = Dialogue()
    for number, turn_id in enumerate(turn_ids):
        said.turn("ann", number, turn_id)
    story = joined(said)
    assert [number_of(c.turn) for c in story.conversations] == [0, 1]
    assert [bytes(c.audio) for c in story.conversations] == [voice("ann 0"), voice("ann 1")]
    assert [[c.turn for c in turn.conversations] for turn in story.turns] == [[t] for t in story.turns]
    joins = [d.conversation.turn if d.conversation else None for d in story.deliveries]
    assert joins == [story.turns[0]] * 2 + [story.turns[1]] * 2


def test_turn_ids_keep_mingled_conversations_apart() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("one"))
    said.audio_down("ann", b"12", turn_id="a")
    said.audio_down("ann", b"ab", turn_id="b")
    said.audio_down("ann", b"34", last=True, turn_id="a")
    said.motion_down("ann", b"motion", turn_id="a")
    story = joined(said)
    assert [bytes(c.audio) for c in story.conversations] == [b"1234", b"ab"]
    assert story.deliveries[0].conversation is story.conversations[0]


def test_the_same_turn_id_at_two_clients_is_two_conversations() -> None:
    said = Dialogue()
    for client in ("ann", "bob"):
        said.audio_down(client, voice(client), turn_id="turn-1")
    assert [c.client for c in joined(said).conversations] == ["ann", "bob"]


def test_a_further_mark_starts_no_conversation() -> None:
    said = Dialogue()
    marks = [said.audio_down("ann", voice("one"), last=True), said.audio_down("ann", last=True)]
    conversations = joined(said).conversations
    assert [c.marks for c in conversations] == [marks]


def test_the_first_audio_is_the_first_that_is_not_empty() -> None:
    said = Dialogue()
    said.audio_down("ann")
    audio = said.audio_down("ann", voice("one"))
    said.audio_down("ann", voice("two"))
    conversation = joined(said).conversations[0]
    assert (conversation.first_seq, conversation.first_audio_seq) == (audio - 1, audio)


def test_a_mark_alone_has_no_first_audio() -> None:
    said = Dialogue()
    said.audio_down("ann", last=True)
    assert joined(said).conversations[0].first_audio_seq is None


@pytest.mark.parametrize("turn_id", ["", "unheard of"])
def test_motion_before_the_audio_joins_no_conversation(turn_id: str) -> None:
    said = Dialogue()
    said.motion_down("ann", b"motion", turn_id=turn_id)
    said.audio_down("ann", voice("one"))
    assert joined(said).deliveries[0].conversation is None


def test_a_conversation_with_anothers_audio_is_the_others() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann"))
    said.starts("bob", 0, voice("bob"))
    said.audio_down("bob", voice("ann"))
    story = joined(said)
    assert story.conversations[0].turn is turn_of(story, "ann", 0)
    assert [turn.conversations for turn in story.turns] == [[], []]


def test_a_conversation_with_changed_audio_is_the_latest_of_its_client() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann"))
    said.starts("bob", 0, voice("bob"))
    said.audio_down("ann", voice("changed"))
    story = joined(said)
    assert story.conversations[0].turn is turn_of(story, "ann", 0)


def test_a_conversation_before_every_turn_has_none() -> None:
    said = Dialogue()
    said.audio_down("ann", voice("welcome"))
    said.starts("ann", 0, voice("one"))
    assert joined(said).conversations[0].turn is None


def test_other_messages_are_neither_audio_nor_motion() -> None:
    said = Dialogue()
    said.hears("ann", Failed("no motion"))
    said.hears("ann", NotUnderstood("not JSON"))
    said.client_interrupts("ann")
    story = joined(said)
    assert (story.conversations, story.deliveries) == ([], [])


def test_a_greeting_tells_the_output_rate() -> None:
    said = Dialogue()
    said.ready("ann", 24000)
    said.ready("bob")
    assert joined(said).output_rates == {"ann": 24000}


# What came down, tied to what was sent.


def test_equal_payloads_are_tied_by_position() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    up, req = up_of("ann", 0), req_of("ann", 0)
    silence = [said.motion(up, req, shade=0.0) for _ in range(3)]
    sent = list(range(said.last - 2, said.last + 1))
    said.motion_down("ann", *silence)
    assert [d.sent.seq for d in joined(said).deliveries if d.sent] == sent


def test_one_delivery_too_many_is_doubled() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    up, req = up_of("ann", 0), req_of("ann", 0)
    silence = [said.motion(up, req, shade=0.0) for _ in range(2)]
    said.motion_down("ann", *silence, silence[0])
    deliveries = joined(said).deliveries
    assert [delivery.doubled for delivery in deliveries] == [False, False, True]
    assert deliveries[2].sent is deliveries[1].sent


def test_two_clients_that_get_the_same_payload_double_nothing() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    payload = said.motion(up_of("ann", 0), req_of("ann", 0))
    said.motion_down("ann", payload)
    said.motion_down("bob", payload)
    story = joined(said)
    assert [delivery.doubled for delivery in story.deliveries] == [False, False]
    assert [d.client for d in story.requests[0].payloads[0].deliveries] == ["ann", "bob"]


def test_what_nobody_sent_is_tied_to_nothing() -> None:
    said = Dialogue()
    said.motion_down("ann", b"invented")
    delivery = joined(said).deliveries[0]
    assert (delivery.sent, delivery.doubled) == (None, False)


# The server's own trace.


def test_a_session_is_its_own_client() -> None:
    said = Dialogue("server")
    said.configures("session-1")
    said.confirms("session-1")
    said.starts("session-1", 0, voice("one"))
    said.audio_up("session-1", "req", voice("one"), end=True)
    payload = said.motion("session-1", "req", end=True)
    said.ends("session-1", 0)
    story = joined(said)
    assert [p.raw for p in story.turns[0].payloads] == [payload]
    assert story.requests[0].sample_rate == 16000


@pytest.mark.parametrize("bob_speaks", [True, False])
def test_changed_audio_belongs_to_nobody_while_two_speak(bob_speaks: bool) -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann"))
    said.starts("bob", 0, voice("bob"))
    if not bob_speaks:
        said.ends("bob", 0)
    said.connects("up")
    said.audio_up("up", "req", voice("something else"))
    [request] = joined(said).requests
    assert (request.turn is None) is bob_speaks
