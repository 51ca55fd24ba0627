"""Relays on every wire: an honest one passes whatever the wire can break, a wrong one is named."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.files.wire_file import find_wire
from spatius_sim.miniatures.relay.wrong_relays import (
    BroadcastsMotion,
    HandsOutApiKey,
    LosesAudio,
    LosesLastPayload,
    NeverMarksAudioEnd,
    RewritesReqId,
    SwapsPayloads,
)
from spatius_sim.model.relay.commands import RelayCommand, Tell
from spatius_sim.model.relay.policy import MotionStart, RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.rules.catalogue import RULES, rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.running_miniature import SEED, miniature_relay
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.wires.events import Audio
from spatius_sim.wires.optional_features import DATA_PACKETS

pytestmark = pytest.mark.long

EXAMPLES = 4


@pytest.fixture(scope="module")
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.stop()


@pytest.fixture
def stack(loop: VirtualLoop) -> Iterator[AsyncExitStack]:
    stack = AsyncExitStack()
    yield stack
    loop.run(stack.aclose(), 10.0)


class SendsAudioWhole(PlainRelay):
    """Sends a turn's audio in one piece, as soon as it has all of it, and its motion after that."""

    policy = RelayPolicy(motion_start=MotionStart.AFTER_AUDIO)

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        self._kept = getattr(self, "_kept", {})
        self._kept[turn.turn_id] = self._kept.get(turn.turn_id, b"") + pcm
        return []

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        turn.audio_ended = True
        motion, turn.held_until_audio_end = turn.held_until_audio_end, []
        return [
            Tell(turn.client_id, Audio(self._kept.pop(turn.turn_id), last=True, turn_id=turn.turn_id)),
            *motion,
        ]


HONEST: dict[str, type[PlainRelay]] = {
    "binary-header": PlainRelay,
    "typed-json": PlainRelay,
    "binary-header-bare": SendsAudioWhole,
    "messagepack": PlainRelay,
}
WRONG: list[tuple[str, type[PlainRelay], str]] = [
    ("binary-header", LosesLastPayload, "R-MOTION-COMPLETE"),
    ("binary-header", HandsOutApiKey, "R-SECRETS"),
    ("typed-json", BroadcastsMotion, "R-ISOLATION"),
    ("typed-json", LosesAudio, "R-AUDIO-COMPLETE"),
    ("typed-json", NeverMarksAudioEnd, "R-END-AUDIO"),
    ("typed-json", SwapsPayloads, "R-MOTION-ORDER"),
    ("binary-header-bare", RewritesReqId, "R-MOTION-VERBATIM"),
    ("messagepack", LosesAudio, "R-AUDIO-COMPLETE"),
    ("messagepack", RewritesReqId, "R-MOTION-VERBATIM"),
]


@pytest.mark.parametrize("wire", HONEST)
def test_an_honest_relay_passes_all_that_its_wire_can_break(
    wire: str, loop: VirtualLoop, stack: AsyncExitStack, tmp_path: Path
) -> None:
    subject = loop.run(stack.enter_async_context(miniature_relay(HONEST[wire], wire)), 10.0)
    trial = Trial(subject, loop, SEED, tmp_path, EXAMPLES)
    outcomes = {rule.id: trial.judge(rule.id, *exercise_of(rule.id)) for rule in rules_for("relay")}
    lacks = find_wire(wire).lacks | {DATA_PACKETS}
    for rule_id, outcome in outcomes.items():
        applies = not RULES[rule_id].explain_not_applicable(lacks)
        expected = Verdict.PASSED if applies else Verdict.NOT_APPLICABLE
        assert outcome.verdict is expected, (rule_id, outcome)


@pytest.mark.parametrize(("wire", "brain", "rule_id"), WRONG)
def test_a_wrong_relay_is_named_on_its_wire_too(
    wire: str,
    brain: type[PlainRelay],
    rule_id: str,
    loop: VirtualLoop,
    stack: AsyncExitStack,
    tmp_path: Path,
) -> None:
    subject = loop.run(stack.enter_async_context(miniature_relay(brain, wire)), 10.0)
    trial = Trial(subject, loop, SEED, tmp_path, EXAMPLES, shrink_seconds=0.0)
    outcome = trial.judge(rule_id, *exercise_of(rule_id))
    assert outcome.verdict is Verdict.FAILED
    [taped] = read_traces(tmp_path / f"{rule_id}.tape")
    assert judge(taped)[rule_id].verdict is Verdict.FAILED
    assert trial.broken_so_far().keys() == {rule_id}
