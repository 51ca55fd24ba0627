"""Relays whose wire can say the sample rate are spoken to at other rates; none is accused of refusing one."""

from pathlib import Path

import pytest

from spatius_sim.model.relay.commands import RelayCommand, Tell
from spatius_sim.model.relay.relay import SAMPLE_RATE, PlainRelay, RelaySession
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.tests.suspects import Hearing, Suspect
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.trace.events import Trace, TurnStarted
from spatius_sim.wires.events import Failed, Ready

RATE = 24_000


class RefusesRates(PlainRelay):
    """Takes 16,000 Hz alone, and says so."""

    def greet(self, client: str) -> list[RelayCommand]:
        rate = self.rates.get(client, SAMPLE_RATE)
        refusal: list[RelayCommand] = [Tell(client, Failed(f"{rate} Hz is not taken"))]
        return super().greet(client) if rate == SAMPLE_RATE else refusal


class NegotiatesRates(PlainRelay):
    """Answers with the one rate that it takes, whatever its client names."""

    def greet(self, client: str) -> list[RelayCommand]:
        return [Tell(client, Ready(client, SAMPLE_RATE, SAMPLE_RATE))]

    def sample_rate(self, session: RelaySession) -> int:
        return SAMPLE_RATE


def spoken_at(brain: type[PlainRelay], wire: str) -> list[int]:
    """The rates at which a relay was spoken to, by a plan that names another rate than the usual one."""

    async def speak() -> Trace:
        async with miniature_relay(brain, wire) as subject:
            await subject.attach()
            return await subject.run(Plan(((TurnPlan(RATE, 4800),),), sample_rate=RATE))

    trace = run_in_virtual_time(speak())
    return [event.content.sample_rate for event in trace.events if isinstance(event.content, TurnStarted)]


def test_a_client_speaks_at_the_rate_that_the_plan_names() -> None:
    assert spoken_at(PlainRelay, "binary-header") == [RATE]


def test_a_wire_that_cannot_say_the_rate_is_spoken_on_at_the_usual_one() -> None:
    assert spoken_at(PlainRelay, "json-envelope") == [SAMPLE_RATE]


@pytest.mark.parametrize("brain", [RefusesRates, NegotiatesRates])
def test_a_relay_that_takes_one_rate_is_spoken_to_at_this_rate_and_passes(
    brain: type[PlainRelay], tmp_path: Path
) -> None:
    assert spoken_at(brain, "binary-header") == [SAMPLE_RATE]
    with Hearing(Suspect("relay", brain, wire="binary-header"), 1, tmp_path) as hearing:
        assert hearing.of("U-RATE").verdict is Verdict.PASSED
        assert hearing.accusations == set()
