"""Relays that are wrong only on connections that last: nightly runs keep them for longer than a minute."""

import pytest

from spatius_sim.miniatures.relay.wrong_after_long import LONG_MINIATURES
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.plan import Plan
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.suspects import HONEST, Suspect, attached
from spatius_sim.tests.virtual_time import run_in_virtual_time

CASES = [
    pytest.param(brain, rule_id, id=brain.__name__)
    for rule_id, brains in LONG_MINIATURES.items()
    for brain in brains
]

NAMES = {
    "PlainRelay",
    "NamesNoTurns",
    "KeepsItsSession",
    "PlaysClips",
    "EndsBySilence on ends_by_silence",
    "GreetsLate",
}
HONEST_RELAYS = [suspect for suspect in HONEST if suspect.name in NAMES]
"""Those that a minute may harm in a way of their own."""


def plans_of(*, thorough: bool) -> list[Plan]:
    """The plans that surely run for ordinary rules."""
    return list(exercise_of("R-MOTION-COMPLETE", thorough=thorough).sure)


def accusations(suspect: Suspect, plans: list[Plan]) -> set[str]:
    """The rules that these plans show to be broken, without those that follow from another of them."""

    async def run() -> set[str]:
        broken: dict[str, list[set[str]]] = {}
        async with attached(suspect, 1) as subject:
            await subject.attach()
            for plan in plans:
                for rule_id, one in judge(await subject.run(plan)).items():
                    if one.verdict is Verdict.FAILED:
                        broken.setdefault(rule_id, []).extend(set(b.follows_from) for b in one.broken)
        return {name for name, causes in broken.items() if not all(cause & broken.keys() for cause in causes)}

    return run_in_virtual_time(run())


@pytest.mark.parametrize(("brain", "rule_id"), CASES)
def test_what_is_wrong_after_a_minute_is_named_by_a_nightly_run(
    brain: type[PlainRelay], rule_id: str
) -> None:
    assert accusations(Suspect("relay", brain), plans_of(thorough=True)) == {rule_id}


@pytest.mark.parametrize(("brain", "rule_id"), CASES)
def test_no_other_run_keeps_a_connection_for_so_long(brain: type[PlainRelay], rule_id: str) -> None:
    assert accusations(Suspect("relay", brain), plans_of(thorough=False)) == set()


@pytest.mark.parametrize("suspect", HONEST_RELAYS, ids=lambda suspect: suspect.name)
def test_a_long_connection_accuses_no_honest_relay(suspect: Suspect) -> None:
    ordinary = plans_of(thorough=False)
    long = [plan for plan in plans_of(thorough=True) if plan not in ordinary]
    assert len(long) == 3
    assert accusations(suspect, long) == set()
