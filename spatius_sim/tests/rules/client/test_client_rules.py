"""C rules: each wrong client is caught by its rule, and what is left open fails nobody."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from spatius_sim.miniatures.client.honest_clients import HONEST_CLIENTS
from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES, StallsAlways
from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.plans.client_edge_cases import edge_cases_of
from spatius_sim.plans.client_plan import ClientPlan, Do, GiveAudio, Move, Ref, Step, Wait
from spatius_sim.plans.draw_client_plans import client_plans_exercising
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import Interrupt
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.client_exchanges import pair_requests_with_answers, read_given_payload
from spatius_sim.subjects.client_shim import Factory
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tests.rules.client.client_traces import STRICT, Said, judged, motion
from spatius_sim.trace.decoder_events import PlaybackState
from spatius_sim.wires.testee_messages import TesteeRequest

MINIATURES = [(rule_id, brain) for rule_id, brains in CLIENT_MINIATURES.items() for brain in brains]
PLANS = 25


@cache
def drawn_plans(rule_id: str) -> tuple[ClientPlan, ...]:
    """The same plans for every client, drawn once."""
    plans: dict[ClientPlan, None] = {}

    @seed(1)
    @settings(
        max_examples=PLANS,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(client_plans_exercising(rule_id))
    def keep(plan: ClientPlan) -> None:
        plans[plan] = None

    keep()
    return tuple(plans)


def verdicts(
    rule_id: str,
    brain: type[ClientDecoder],
    make: Callable[[type[ClientDecoder]], Factory] = own_client_factory,
) -> set[tuple[str, Verdict]]:
    """What every rule says over the corners of this rule's situation, and over some drawn plans. A breach
    that follows from this rule is left out."""
    loop = asyncio.new_event_loop()
    subject = ClientSubject(InProcessTestee(make(brain)), brain.__name__, 1)
    loop.run_until_complete(subject.attach())
    said: set[tuple[str, Verdict]] = set()

    def note(plan: ClientPlan) -> None:
        trace = loop.run_until_complete(subject.run(plan))
        said.update(
            (judgement.rule_id, judgement.verdict)
            for judgement in judge(trace).values()
            if not judgement.broken or not all(rule_id in b.follows_from for b in judgement.broken)
        )

    for plan in (*edge_cases_of(rule_id), *drawn_plans(rule_id)):
        note(plan)
    loop.close()
    return said


@pytest.mark.parametrize(("rule_id", "brain"), MINIATURES)
def test_a_wrong_client_is_caught_by_its_rule_alone(rule_id: str, brain: type[ClientDecoder]) -> None:
    said = verdicts(rule_id, brain)
    assert {name for name, verdict in said if verdict is Verdict.FAILED} == {rule_id}


def test_no_id_for_a_later_chunk_means_no_change() -> None:
    said = Said()
    said.audio(800, False, "one")
    said.audio(800, False, "")
    said.audio(800, True, None)
    assert said.judged()["C-ID"].verdict is Verdict.PASSED


@pytest.mark.parametrize("again", ["", None, "one"])
def test_an_empty_chunk_may_begin_the_conversation_and_name_it(again: str | None) -> None:
    said = Said()
    said.audio(0, False, "one")
    said.audio(0, False, again)
    said.audio(800, True, again)
    assert said.judged()["C-ID"].verdict is Verdict.PASSED


def test_an_empty_chunk_after_the_end_names_no_new_conversation() -> None:
    said = Said()
    said.audio(800, True, "one")
    said.audio(0, False, "one")
    said.audio(800, True, "")
    assert said.judged()["C-ID"].verdict is Verdict.FAILED


def test_a_client_that_declares_it_may_mint_fresh_ids() -> None:
    said = Said(lacks=["stableIds"])
    said.audio(800, False, "one")
    said.audio(800, True, "two")
    said.seen(conversationId="two", state="playing")
    judgements = said.judged()
    assert judgements["C-ID"].verdict is Verdict.PASSED
    assert judgements["C-ID-CURRENT"].verdict is Verdict.PASSED


def test_the_rules_on_ids_do_not_apply_to_a_client_without_ids() -> None:
    said = Said(lacks=["ids"])
    said.audio(800, True, None)
    judgements = said.judged()
    assert judgements["C-ID"].verdict is Verdict.NOT_APPLICABLE
    assert judgements["C-MISMATCH"].verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("rule_id", CLIENT_MINIATURES)
def test_our_own_decoder_passes(rule_id: str) -> None:
    said = verdicts(rule_id, ClientDecoder)
    assert (rule_id, Verdict.PASSED) in said
    assert not [name for name, verdict in said if verdict is Verdict.FAILED]


@pytest.mark.parametrize("brain", HONEST_CLIENTS)
@pytest.mark.parametrize("rule_id", ["C-ID-CURRENT", "C-INTERRUPT", "C-STATES", "C-STARVE", "C-SYNC"])
def test_an_honest_client_passes(rule_id: str, brain: type[ClientDecoder]) -> None:
    said = verdicts(rule_id, brain)
    assert said & {(rule_id, Verdict.PASSED), (rule_id, Verdict.NOT_APPLICABLE)}
    assert not [name for name, verdict in said if verdict is Verdict.FAILED]


def test_a_client_is_judged_by_the_c_rules_and_no_other() -> None:
    assert list(judged(GiveAudio(100))) == [rule.id for rule in rules_for("client")]


def test_nothing_is_judged_where_nothing_happened() -> None:
    passed = [name for name, one in judged().items() if one.verdict is Verdict.PASSED]
    assert passed == ["C-STATES", "C-ID-CURRENT"]


LACKS = [
    ("yieldFramesData", "C-MATCH"),
    ("yieldAudioData", "C-ID"),
    ("observe.samplesPlayed", "C-SYNC"),
    ("interrupt", "C-INTERRUPT"),
    ("pause", "C-PAUSE"),
]


def test_an_unimplemented_request_is_not_applicable() -> None:
    said = Said()
    said.lacks(TesteeRequest(0, "pause"))
    assert said.judged()["C-PAUSE"].verdict is Verdict.NOT_APPLICABLE


def test_a_message_that_is_no_motion_counts_as_undecodable() -> None:
    assert read_given_payload(encode(Interrupt("r"))) is None


def test_a_request_that_was_never_answered_is_left_out() -> None:
    said = Said()
    said.asks(TesteeRequest(0, "observe"))
    said.asks(TesteeRequest(0, "pause"))
    said.answers()
    said.answers()
    assert [one.request.do for one in pair_requests_with_answers(said.trace)] == ["hello", "reset", "pause"]


def test_a_stall_without_motion_is_not_taken_for_abnormal_motion() -> None:
    class WaitsForMotion(StallsAlways):
        def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
            super()._accept_payload(conversation, payload)
            conversation.abnormal = False

    settle = (Wait(400), Wait(400), Wait(300))
    first = (GiveAudio(600, True), motion(15), *settle)
    steps = (*first, GiveAudio(600, True), motion(5, form="junk"), *settle)
    said = judged(*steps, client=own_client_factory(WaitsForMotion))
    assert said["C-ABNORMAL"].verdict is Verdict.UNEXERCISED


@pytest.mark.parametrize(("lacking", "rule_id"), LACKS)
def test_what_a_client_lacks_is_not_applicable(lacking: str, rule_id: str) -> None:
    judgement = Said(lacks=[lacking]).judged()[rule_id]
    assert judgement.verdict is Verdict.NOT_APPLICABLE
    assert lacking in judgement.reason


def test_a_client_without_modes_is_not_judged_on_starving() -> None:
    assert Said(modes=[]).judged()["C-STARVE"].verdict is Verdict.NOT_APPLICABLE


def test_a_member_that_observe_leaves_out_is_lacking() -> None:
    said = Said()
    said.says(TesteeRequest(0, "observe"), {"state": "idle"})
    assert said.judged()["C-ID-CURRENT"].verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("returned", ["", None, 7, ["c"]])
def test_an_id_is_a_non_empty_string(returned: object) -> None:
    said = Said()
    said.audio(160, False, returned)
    assert said.judged()["C-ID"].verdict is Verdict.FAILED


def test_audio_that_throws_breaks_c_id() -> None:
    said = Said()
    said.audio(160, False, None, error="no")
    assert said.judged()["C-ID"].broken[0].actual == "it threw: no"


def throws_on(kind: str, *steps: Step) -> Verdict:
    class Throws(ClientDecoder):
        def yield_frames_data(self, frames: object, conversation_id: str) -> None:
            raise ValueError("no")

    return judged(*steps, client=own_client_factory(Throws))[kind].verdict


def test_motion_that_does_not_count_is_discarded_in_silence() -> None:
    foreign = Ref(0, "made up")
    assert throws_on("C-MISMATCH", GiveAudio(100), motion(1, foreign)) is Verdict.FAILED
    assert throws_on("C-EARLY", motion(1, foreign)) is Verdict.FAILED


def test_an_empty_list_and_unknown_fields_must_not_throw() -> None:
    assert throws_on("C-EMPTY", GiveAudio(100), Move(())) is Verdict.FAILED
    assert throws_on("C-UNKNOWN", GiveAudio(100), motion(1, form="unknown fields")) is Verdict.FAILED


def test_audio_that_outlives_an_interrupt_breaks_c_interrupt() -> None:
    said = Said()
    said.audio(16000, False, "c1")
    said.says(TesteeRequest(0, "interrupt"))
    said.audio(16000, False, "c2")
    said.seen(state="playing", conversationId="c2", samplesPlayed=16000)
    assert said.judged()["C-INTERRUPT"].verdict is Verdict.FAILED


def test_motion_of_a_conversation_that_was_cut_off_breaks_c_match() -> None:
    class KeepsMotion(ClientDecoder):
        def _start_conversation(self) -> DecodedConversation:
            kept = self._conversation.motion if self._conversation else []
            conversation = super()._start_conversation()
            conversation.motion.extend(kept)
            return conversation

    steps = (GiveAudio(2000, True), motion(50), Wait(400), GiveAudio(2000), Wait(240), Wait(280))
    assert judged(*steps, client=own_client_factory(KeepsMotion))["C-MATCH"].verdict is Verdict.FAILED


def test_a_stall_that_motion_has_ended_must_end() -> None:
    class StaysStalled(ClientDecoder):
        def _find_playable_end(self, conversation: object) -> int:
            return 160 * 10**9

    class SaysStalled(ClientDecoder):
        @property
        def stalled(self) -> bool:
            return True

    class StaysSilently(StaysStalled):
        @property
        def stalled(self) -> bool:
            return self.samples_played == 5 * 640 and self._now_ns < 900_000_000

        def _find_playable_end(self, conversation: object) -> int:
            return 5 * 640 * 10**9

    steps = (GiveAudio(2000), motion(5), Wait(100), Wait(700), motion(40), Wait(240), Wait(300))
    for brain in (StaysStalled, SaysStalled, StaysSilently):
        judgement = judged(*steps, client=own_client_factory(brain), mode=STRICT)["C-STARVE"]
        assert judgement.verdict is Verdict.FAILED, brain


def test_a_real_clock_is_judged_with_more_patience() -> None:
    said = Said(clock="real")
    said.audio(16000, True, "c1")
    said.says(TesteeRequest(0, "advance", ms=300))
    said.seen(conversationId="c1")
    said.says(TesteeRequest(0, "advance", ms=300))
    said.seen(conversationId="c1")
    assert said.judged()["C-STATES"].verdict is Verdict.UNEXERCISED
    said.says(TesteeRequest(0, "advance", ms=200))
    said.seen(conversationId="c1")
    said.says(TesteeRequest(0, "advance", ms=50))
    said.seen(conversationId="c1")
    assert said.judged()["C-STATES"].verdict is Verdict.FAILED


def test_what_a_client_renders_beside_the_motion_it_was_given_is_its_own_affair() -> None:
    said = Said()
    said.audio(16000, False, "c1")
    said.seen(conversationId="c1", keyframesRendered=[0.25, "rest pose", None, 7])
    said.seen(conversationId="c1", keyframesRendered="none", samplesPlayed="many")
    assert said.judged()["C-MATCH"].verdict is Verdict.UNEXERCISED


def test_motion_and_empty_lists_for_an_interrupted_id_are_dropped_silently() -> None:
    class Throws(ClientDecoder):
        def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
            if self._conversation is None:
                raise ValueError("no conversation")
            super().yield_frames_data(frames, conversation_id)

    begun = (GiveAudio(600), motion(5), Wait(300), Do("interrupt"))
    for late, rule_id in ((motion(5), "C-INTERRUPT"), (Move(()), "C-EMPTY-MISMATCH")):
        said = judged(*begun, late, Wait(300), client=own_client_factory(Throws))
        assert [name for name, one in said.items() if one.verdict is Verdict.FAILED] == [rule_id]


def test_nothing_plays_once_all_is_played_whatever_was_paused() -> None:
    class PlaysAgain(ClientDecoder):
        def resume(self) -> None:
            super().resume()
            self.state = PlaybackState.PLAYING

    steps = (GiveAudio(200, True), Wait(600), Wait(600), Do("pause"), Do("resume"), Wait(100), Wait(100))
    assert judged(*steps, client=own_client_factory(PlaysAgain))["C-STATES"].verdict is Verdict.FAILED
    assert judged(*steps)["C-STATES"].verdict is Verdict.PASSED


def test_undecodable_motion_holds_no_audio_up_in_strict_sync() -> None:
    class WaitsForIt(ClientDecoder):
        def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
            super()._accept_payload(conversation, payload)
            conversation.abnormal = False

    plain = (GiveAudio(600, True), motion(15), Wait(300), Wait(300), Wait(300), Wait(300))
    steps = (
        *plain,
        GiveAudio(600),
        motion(5, form="junk"),
        GiveAudio(0, True),
        Wait(600),
        Wait(600),
        Wait(300),
    )
    judgement = judged(*steps, client=own_client_factory(WaitsForIt), mode=STRICT)["C-ABNORMAL"]
    assert judgement.verdict is Verdict.FAILED
    assert judged(*steps, mode=STRICT)["C-ABNORMAL"].verdict is Verdict.PASSED


OPEN: list[tuple[Step, ...]] = [
    (GiveAudio(0), Wait(300), Wait(300), motion(5), Do("interrupt"), Wait(300)),
    (GiveAudio(0, True), GiveAudio(100), Wait(300)),
    (Do("pause"), GiveAudio(600), Wait(300), Wait(300)),
    (GiveAudio(600), Wait(300), Do("resume"), Wait(100), Wait(100)),
    (GiveAudio(600), Wait(300), Do("pause"), GiveAudio(600), Wait(300), Wait(300)),
    (GiveAudio(200, True), Wait(500), motion(5), Wait(300), motion(5, Ref(0, "cut"))),
    (GiveAudio(600), Move(()), Move(()), Wait(300)),
    (GiveAudio(600), motion(0), motion(5), Wait(240), Wait(240)),
    (GiveAudio(600), motion(5, form="junk"), motion(5), Move(None), motion(3), Wait(300)),
    (Do("interrupt"), GiveAudio(0), Do("interrupt"), Wait(300)),
]


@pytest.mark.parametrize("steps", OPEN)
@pytest.mark.parametrize("mode", ["audioIndependent", "strictSync"])
def test_what_is_left_open_fails_nobody(steps: tuple[Step, ...], mode: str) -> None:
    said = judged(*steps, mode=mode)
    assert [name for name, one in said.items() if one.verdict is Verdict.FAILED] == []


def shown_after(said: Said, conversation_id: str, first_value: int, shift: int, *, mismatch: bool) -> None:
    """A second of audio with its motion; if asked for, with motion for an id that nobody handed out, too.
    After 400 ms each, two pieces of it are seen, the second `shift` keyframes away from its place."""
    said.audio(16000, True, conversation_id)
    said.motion(first_value, 25, conversation_id)
    if mismatch:
        said.motion(first_value + 500, 3, "nobody's")
    for start, end in ((0, 8), (8 + shift, 16 + shift)):
        said.passes(320)
        values = [float(first_value + k) for k in range(start + 1, end + 1)]
        said.seen(
            state="playing",
            conversationId=conversation_id,
            samplesPlayed=end * 640 if not start else 16 * 640,
            keyframesRendered=values,
        )


@pytest.mark.parametrize(
    ("shift", "controlled", "failed"),
    [
        (0, True, []),
        (5, True, []),
        (6, True, ["C-MISMATCH"]),
        (6, False, []),
    ],
    ids=["in place", "a little ahead", "far ahead", "far ahead, and never seen in place without it"],
)
def test_motion_that_leaves_its_place_after_mismatched_motion_breaks_c_mismatch(
    shift: int, controlled: bool, failed: list[str]
) -> None:
    said = Said()
    if controlled:
        shown_after(said, "c1", 100, 0, mismatch=False)
        said.passes(1000)
        said.seen(samplesPlayed=16000, keyframesRendered=[float(k) for k in range(117, 125)])
    shown_after(said, "c2", 200, shift, mismatch=True)
    judgements = said.judged()
    rules = ("C-MISMATCH", "C-MATCH", "C-ID", "C-STATES")
    assert [name for name in rules if judgements[name].verdict is Verdict.FAILED] == failed
    if failed:
        [broken] = judgements["C-MISMATCH"].broken
        assert (broken.expected, broken.actual) == ("keyframe 16 at 10240 samples", "keyframe 22")


class CountsByClock(ClientDecoder):
    """Tells parts of samples, too."""

    speed = 1.0

    @property
    def samples_played(self) -> int:
        return super().samples_played * self.speed + 0.25  # type: ignore[return-value]


class CountsTooSlowly(CountsByClock):
    speed = 0.5


@pytest.mark.parametrize(("brain", "accused"), [(CountsByClock, []), (CountsTooSlowly, ["C-STARVE"])])
def test_parts_of_samples_are_a_number_of_samples_too(brain: type[ClientDecoder], accused: list[str]) -> None:
    steps = (GiveAudio(3000, True), Wait(240), Wait(280), Wait(1500), Wait(3000))
    judgements = judged(*steps, client=own_client_factory(brain))
    assert [name for name, one in judgements.items() if one.verdict is Verdict.FAILED] == accused


def test_what_is_no_number_of_samples_is_not_told() -> None:
    said = Said()
    said.audio(16000, False, "c1")
    said.passes(500)
    said.seen(state="playing", conversationId="c1", samplesPlayed=float("nan"))
    assert not [name for name, one in said.judged().items() if one.verdict is Verdict.FAILED]


def test_until_a_client_was_reset_to_a_sample_rate_nothing_is_judged() -> None:
    said = Said()
    said.audio(16000, False, None)
    said.passes(1000)
    said.seen(state="idle", samplesPlayed=7)
    assert [name for name, one in said.judged().items() if one.verdict is Verdict.FAILED]
    whole = said.trace
    at = next(
        exchange.seq for exchange in pair_requests_with_answers(whole) if exchange.request.do == "reset"
    )
    never_reset = replace(whole, events=whole.events[:at] + whole.events[at + 2 :])
    assert {one.verdict for one in judge(never_reset).values()} <= {
        Verdict.UNEXERCISED,
        Verdict.NOT_APPLICABLE,
    }


@pytest.mark.parametrize(("given_for", "failed"), [("one", []), ("two", []), ("nobody's", ["C-MISMATCH"])])
def test_a_client_that_mints_fresh_ids_may_render_or_drop_motion_for_an_earlier_id_of_the_conversation(
    given_for: str, failed: list[str]
) -> None:
    for rendered in ([100.0 + k for k in range(9)], []):
        said = Said(lacks=["stableIds"])
        said.audio(8000, False, "one")
        said.audio(8000, False, "two")
        said.motion(100, 25, given_for)
        said.passes(320)
        said.seen(state="playing", conversationId="two", samplesPlayed=8 * 640, keyframesRendered=rendered)
        broken = [name for name, one in said.judged().items() if one.verdict is Verdict.FAILED]
        assert broken == (failed if rendered else [])


@pytest.mark.parametrize(
    ("skipped_ms", "watched", "verdict"),
    [
        (20, True, Verdict.PASSED),
        (60, True, Verdict.FAILED),
        (150, True, Verdict.FAILED),
        (150, False, Verdict.PASSED),
    ],
)
def test_a_client_goes_on_after_a_pause_from_where_it_was_seen(
    skipped_ms: int, watched: bool, verdict: Verdict
) -> None:
    class Skips(ClientDecoder):
        """Leaves so much audio out when it is resumed."""

        def resume(self) -> None:
            if self._conversation is not None:
                self._conversation.played_nanosamples += skipped_ms * self._sample_rate * 1_000_000
            super().resume()

    # Within the slack after the call, a client may still play: what it plays then is not lost.
    pause = (Do("pause"), Wait(300), Do("resume")) if watched else (Do("pause"), Wait(100), Do("resume"))
    plain = (GiveAudio(3000, True), motion(75), Wait(3000), Wait(300), Wait(300))
    steps = (*plain, GiveAudio(3000, True), motion(75), Wait(300), *pause, Wait(200), Wait(2600), Wait(900))
    assert judged(*steps, client=own_client_factory(Skips))["C-PAUSE"].verdict is verdict
