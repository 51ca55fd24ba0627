"""For each C rule a mutation of the decoder itself is caught: the code that keeps the rule is taken out."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.model.client import decoder as client_decoder
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.plans.client_plan import ClientPlan
from spatius_sim.plans.draw_client_plans import client_plans_exercising
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee
from spatius_sim.subjects.decoder_as_client import own_client_factory

MUTATIONS: dict[str, list[tuple[str, str]]] = {
    "C-ID": [("        return conversation.conversation_id\n", "        return self._new_id()\n")],
    "C-ID-NEW": [
        ("Conversation(self._new_id())", "Conversation(self._latest_conversation_id or self._new_id())")
    ],
    "C-ID-CURRENT": [
        (
            "return self._conversation.conversation_id if self._conversation else None",
            "return self._latest_conversation_id or None",
        )
    ],
    "C-MISMATCH": [("conversation.conversation_id == conversation_id", "conversation_id is not None")],
    "C-EARLY": [
        (
            "        motion_input = MotionInput.PAYLOADS",
            "        if frames and self._conversation is None and not self._latest_conversation_id:\n"
            "            self._start_conversation()\n"
            "            self._conversation.conversation_id = conversation_id\n"
            "        motion_input = MotionInput.PAYLOADS",
        )
    ],
    "C-INTERRUPT": [
        ("Conversation(self._new_id())", "Conversation(self._new_id(), motion=getattr(self, 'kept', []))"),
        (
            "            self._end_conversation(self._conversation)\n",
            "            self.kept = self._conversation.motion\n"
            "            self._end_conversation(self._conversation)\n",
        ),
    ],
    "C-PAUSE": [
        (
            " and self.state is PlaybackState.PLAYING:\n            self._play_audio",
            ":\n            self._play_audio",
        )
    ],
    "C-EMPTY": [
        (
            "self._switch_to_audio_only(conversation)\n        else",
            "self._interrupt_conversation()\n        else",
        )
    ],
    "C-EMPTY-STICKY": [
        (
            "MotionTarget.AUDIO_ONLY if conversation.audio_only else MotionTarget.CURRENT",
            "MotionTarget.CURRENT",
        ),
        (" or conversation.audio_only or self.state is not", " or self.state is not"),
    ],
    "C-EMPTY-SCOPE": [
        ("conversation.audio_only = True", "conversation.audio_only = self.fallen = True"),
        ("Conversation(self._new_id())", "Conversation(self._new_id(), audio_only=hasattr(self, 'fallen'))"),
    ],
    "C-EMPTY-MISMATCH": [
        (
            "            self._discard(frames or (), conversation_id, action)\n",
            "            self._discard(frames or (), conversation_id, action)\n"
            "            if self._conversation and not frames:\n"
            "                self._switch_to_audio_only(self._conversation)\n",
        )
    ],
    "C-ABNORMAL": [
        ("            message = None\n", "            message = self._interrupt_conversation()\n")
    ],
    "C-NOEND": [
        (
            "if conversation.ended and conversation.played_nanosamples == end",
            "if conversation.played_nanosamples == end",
        )
    ],
    "C-STARVE": [("self._mode is StarvationMode.AUDIO_INDEPENDENT or conversation", "conversation")],
    "C-STATES": [
        ("            self._change_state(PlaybackEvent.PLAYBACK_END, StateReason.PLAYBACK_END)\n", "")
    ],
    "C-UNKNOWN": [("isinstance(message, MotionResponse):", "message and b'later' not in payload:")],
    "C-MATCH": [
        ("conversation.motion.append(message.keyframes)", "conversation.motion.insert(0, message.keyframes)")
    ],
    "C-SYNC": [
        (
            "conversation.played_nanosamples * KEYFRAMES_PER_SECOND //",
            "conversation.played_nanosamples * 20 //",
        )
    ],
}


@pytest.fixture(scope="module")
def loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.stop()


def mutated(monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, str]]) -> type[ClientDecoder]:
    """The decoder of the changed source; whatever imports the decoder from here on gets it, too."""
    source = inspect.getsource(client_decoder)
    for original, changed in changes:
        assert original in source, original
        source = source.replace(original, changed)
    module = ModuleType("spatius_sim.mutated_decoder")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, "mutated decoder", "exec"), module.__dict__)
    monkeypatch.setattr(client_decoder, "ClientDecoder", module.ClientDecoder)
    brain: type[ClientDecoder] = module.ClientDecoder
    return brain


@pytest.mark.parametrize("rule_id", MUTATIONS)
def test_a_mutated_decoder_is_caught(
    rule_id: str, loop: BackgroundLoop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    brain = mutated(monkeypatch, MUTATIONS[rule_id])
    subject = ClientSubject(InProcessTestee(own_client_factory(brain)), rule_id, 1)
    trial: Trial[ClientPlan] = Trial(subject, loop, 1, tmp_path, 20, shrink_seconds=0.1)
    assert trial.judge(rule_id, client_plans_exercising(rule_id)).verdict is Verdict.FAILED


def test_every_rule_has_its_mutation() -> None:
    assert set(MUTATIONS) == {rule.id for rule in rules_for("client")}
