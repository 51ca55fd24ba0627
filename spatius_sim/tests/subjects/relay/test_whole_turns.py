"""Relays that hand a whole turn over in one message, as the vendor's clip examples do."""

from collections.abc import Callable

from spatius_sim.model.relay.commands import RelayCommand, Tell
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.protocol.messages import AudioInput
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.trace.events import Trace
from spatius_sim.wires.events import Ready

RATE = 48_000
A_MINUTE = Plan(((TurnPlan(60 * RATE, 96_000), TurnPlan(RATE, 9_600)),))


class HandsTurnsOverWhole(PlainRelay):
    """Speaks at 48 kHz, and sends a turn up when it has ended, in one message."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._kept: dict[str, bytearray] = {}

    def greet(self, client: str) -> list[RelayCommand]:
        return [Tell(client, Ready(client, RATE, RATE))]

    def sample_rate(self, session: RelaySession) -> int:
        return RATE

    def make_audio_end(self, turn: RelayTurn) -> AudioInput:
        return AudioInput(turn.req_id, bytes(self._kept.pop(turn.turn_id)), end=True)

    def _send_audio_to_server(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        if audio.end:
            return super()._send_audio_to_server(turn, audio)
        self._kept.setdefault(turn.turn_id, bytearray()).extend(audio.audio)
        return []


async def speak_a_minute() -> Trace:
    async with miniature_relay(HandsTurnsOverWhole) as subject:
        await subject.attach()
        return await subject.run(A_MINUTE)


def test_a_minute_of_speech_in_one_message_breaks_no_rule() -> None:
    trace = run_in_virtual_time(speak_a_minute())
    verdicts = {rule_id: found.verdict for rule_id, found in judge(trace).items()}
    assert Verdict.FAILED not in verdicts.values(), verdicts
    for rule_id in ("R-CONVERSATION", "R-TURNS", "R-END-MOTION", "R-MOTION-COMPLETE", "U-AUDIO-COMPLETE"):
        assert verdicts[rule_id] is Verdict.PASSED, rule_id
