"""The smallest failures of the rules for clients: the first of a few plans, from the shortest on, by which a
rule's own miniature breaks that rule and no other."""

from dataclasses import replace
from functools import partial

from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_plan import Do, GiveAudio, Move, PlannedPayload, Ref, Step, Wait
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tests.corpus.failures import SMALLEST
from spatius_sim.tests.rules.client.client_traces import motion, played
from spatius_sim.trace.events import Trace

_TICK_NS = 1_000_000
_ROUND = (GiveAudio(600, True), motion(15), Wait(600), Wait(900))
_BEGUN = (GiveAudio(2000), motion(50), Wait(240), Wait(280), Wait(200))
_WATCH = (Wait(240), Wait(280), Wait(320))
_TO_THE_END = (Wait(1000), Wait(1000), Wait(900))
_LONG_ROUND = (GiveAudio(1500, True), motion(37), *_TO_THE_END)
_MADE_UP = Ref(0, "made up")

PLANS: tuple[tuple[Step, ...], ...] = (
    (GiveAudio(100), GiveAudio(100)),
    (GiveAudio(100, True), GiveAudio(100)),
    (GiveAudio(100), Do("interrupt")),
    _ROUND,
    (GiveAudio(2000), motion(20), *_WATCH),
    (GiveAudio(2000), motion(20), Wait(300), motion(30, form="unknown fields"), Wait(180), *_WATCH, *_WATCH),
    (GiveAudio(1200), *_WATCH),
    (motion(20, _MADE_UP), GiveAudio(2000), *_WATCH),
    (GiveAudio(2000), motion(20, Ref(0, "cut")), *_WATCH),
    (GiveAudio(400), motion(10), Wait(600), Wait(5000), Wait(5000), Wait(2500)),
    (GiveAudio(2000), Move(()), motion(20), *_WATCH),
    (*_BEGUN, *_WATCH),
    (*_BEGUN, Move((), _MADE_UP), *_WATCH),
    (*_BEGUN, Do("interrupt"), Wait(240), GiveAudio(1500), *_WATCH),
    (
        GiveAudio(2000, True),
        motion(50),
        Wait(240),
        Do("pause"),
        Wait(700),
        Do("resume"),
        *_WATCH,
        *_TO_THE_END,
    ),
    (*_LONG_ROUND, GiveAudio(1500, True), Wait(200), Move(()), *_TO_THE_END),
    (*_LONG_ROUND, GiveAudio(1500, True), motion(37), Move((PlannedPayload(10, "junk"),)), *_TO_THE_END),
    (GiveAudio(2000, True), motion(50), Wait(240), Move(()), Wait(200), GiveAudio(2000), motion(50), *_WATCH),
)


def _smallest(rule_id: str, brain: type[ClientDecoder]) -> Trace:
    for steps in PLANS:
        trace = _untimed(played(*steps, client=own_client_factory(brain)))
        if [name for name, one in judge(trace).items() if one.verdict is Verdict.FAILED] == [rule_id]:
            return trace
    raise LookupError(f"no plan makes {brain.__name__} break {rule_id} alone: add one")


def _untimed(trace: Trace) -> Trace:
    """The same at times that no clock has told."""
    header = replace(trace.header, kit_version="0")
    events = (replace(event, at_ns=event.seq * _TICK_NS) for event in trace.events)
    return replace(trace, header=header, events=tuple(events))


SMALLEST |= {rule_id: partial(_smallest, rule_id, brains[0]) for rule_id, brains in CLIENT_MINIATURES.items()}
