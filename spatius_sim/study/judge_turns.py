"""Plays turns of a study whole, every byte of them, in virtual time over the modelled links, and judges them
by the rules for relays and for clients.

The client speaks at the study's pace, and our relay with the study's choices answers: it plays the part of
whatever speaks in the study. So audio that is paced is spoken at the pace of speech.
"""

import math
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from spatius_sim.files.wire_file import find_wire
from spatius_sim.model.network.link_capacity import LONGEST_WAIT
from spatius_sim.model.network.message_overhead import WireKind, bytes_on_tcp
from spatius_sim.model.network.network_profile import NetworkProfile
from spatius_sim.model.network.tcp import TcpFlow
from spatius_sim.model.relay.policy import RelayPolicy, SessionScope
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.plans.client_plan import ClientPlan, Do, GiveAudio, Move, PlannedPayload, Step, Wait
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, TurnProgress
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.study.pipeline_choices import AudioPacing, Pipeline, Sessions
from spatius_sim.study.simulate_turn import (
    PlainFlow,
    SimulatedTurn,
    TurnNetwork,
    choose_turn_network,
    flow_to_client,
    simulate_turn,
)
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee
from spatius_sim.subjects.relay.relay_access import RelayInMemory
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.subject_base import Patience, canary_key
from spatius_sim.trace.events import Trace
from spatius_sim.virtual.memory_connection import Link
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_relay import VirtualRelay

ONE_IN = 20
"""Of so many turns, one is drawn and judged."""

_PATIENCE = Patience(attach=900.0, settle=900.0, fallback=900.0, turn=900.0)
"""Seconds of virtual time, which cost nothing. A slow network breaks no rule."""

_LONGEST_TURN = 600
"""Seconds. What arrives later in a turn is not given to the client."""
_LAST_WAIT_MS = 2000
"""How long the client plays on after the last arrival."""

_WIRES = {WireKind.JSON: "json-envelope", WireKind.BINARY: "messagepack"}
_BYTES_PER_SECOND = PLAN_SAMPLE_RATE * BYTES_PER_SAMPLE
_AFTER_INTERRUPT = TurnPlan(3 * PLAN_SAMPLE_RATE, _BYTES_PER_SECOND // 10)
"""What the client says after an interrupt, with two segments of motion: the rules ask what of the turn before
comes into this one."""


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that a turn broke, with what was seen."""

    rule: str
    actual: str


def turns_to_judge(turns: int, seed: int) -> list[int]:
    """Return the numbers of the turns of a study that are judged: one of each twenty, drawn by the seed."""
    rng = np.random.default_rng([seed & (2**63 - 1), ONE_IN])
    return [begin + int(rng.integers(min(ONE_IN, turns - begin))) for begin in range(0, turns, ONE_IN)]


def judge_turn(
    pipeline: Pipeline,
    network: NetworkProfile,
    seed: int,
    number: int,
    relay: type[PlainRelay] = PlainRelay,
) -> list[BrokenRule]:
    """Simulate turn number `number` of the study again, this time with the bytes of all messages, and return
    the rules that it broke. Relay rules judge the conversation of `relay` over the simulated network, unless
    the link was given up. Client rules judge our client, which gets each message when it arrived in the
    simulation."""
    loop = VirtualLoop()
    turn_network = choose_turn_network(pipeline, network, seed, number)
    down = _LinkToClient(flow_to_client(pipeline, network, turn_network))
    turn = simulate_turn(pipeline, network, seed, number)
    broken = []
    try:
        if turn.audio[-1][0] <= LONGEST_WAIT:
            trace = loop.run(_speak_judged_turn(loop, pipeline, turn_network, down, seed, relay), None)
            broken = [] if down.given_up else _find_broken_rules(trace)
        return broken + _find_broken_rules(loop.run(_play_client(turn, pipeline, seed), None))
    finally:
        loop.stop()


class _LinkToClient:
    """The link from the relay to its client in virtual time: frames arrive when the flow says."""

    def __init__(self, flow: TcpFlow | PlainFlow) -> None:
        self._flow = flow
        self.given_up = False
        """Whether a frame arrives never, or later than anybody waits for it."""

    def arrival(self, now: float, size: int) -> float:
        """Return when a frame of `size` bytes that is sent now arrives, in seconds."""
        arrived = self._flow.write(now, bytes_on_tcp(size)).arrived
        self.given_up |= arrived - now > LONGEST_WAIT
        return arrived


def _find_broken_rules(trace: Trace) -> list[BrokenRule]:
    """Return the rules that the trace of a judged turn breaks, each with what was seen."""
    return [
        BrokenRule(rule, judgement.broken[0].actual if judgement.broken else judgement.reason)
        for rule, judgement in judge(trace).items()
        if judgement.verdict is Verdict.FAILED
    ]


async def _speak_judged_turn(
    loop: VirtualLoop,
    pipeline: Pipeline,
    turn_network: TurnNetwork,
    down: _LinkToClient,
    seed: int,
    relay: type[PlainRelay],
) -> Trace:
    """Let a client speak the turn that is judged to our relay, in virtual time and over the links that the
    study drew, and return the trace. `down` is the link from the relay to the client."""
    half_trip, region_trip = turn_network.round_trip / 2, turn_network.region_trips[pipeline.region]
    wire = find_wire(_WIRES[pipeline.wire])
    recorder = RealTimeRecorder(clock_ns=loop.time_ns, wire=wire)
    server = VirtualMotionServer(loop, seed, recorder, link=Link(delay=region_trip / 2), pace=pipeline.pace)
    numbers = count(1)
    brain = relay(canary_key(seed), lambda: f"request-{next(numbers)}")
    brain.policy = _relay_policy(pipeline)
    to_client = Link(capacity=pipeline.send_buffer, arrival=down.arrival)
    access = RelayInMemory(loop, VirtualRelay(loop, brain, wire, server), to_client, Link(delay=half_trip))
    address = RelayAddress("ws://relay.invalid")
    subject = RelaySubject(address, wire, recorder, seed, _PATIENCE, server, access=access)
    await subject.attach()
    interrupted = turn_network.interrupt_roll < pipeline.interrupted_share
    turns = (_interrupted_plan(pipeline), _AFTER_INTERRUPT) if interrupted else (_turn_plan(pipeline),)
    return await subject.run(Plan((turns,)), patient=True)


def _relay_policy(pipeline: Pipeline) -> RelayPolicy:
    """Return the policy of our relay for a simulated turn that the rules judge: the relay makes the choices
    of the study's pipeline."""
    keeps_sessions = pipeline.sessions is Sessions.KEPT
    return RelayPolicy(
        audio_chunk_bytes=max(BYTES_PER_SAMPLE, round(pipeline.audio_chunk * _BYTES_PER_SECOND) // 2 * 2),
        payloads_per_message=pipeline.payloads_per_message,
        session_scope=SessionScope.CLIENT if keeps_sessions else SessionScope.TURN,
        silence_seconds=_PATIENCE.settle,
    )


def _turn_plan(pipeline: Pipeline) -> TurnPlan:
    """Return the plan of the turn that is played and judged for the study. As in the simulation, its client
    speaks for `pipeline.seconds`, in chunks of the same length and at the same pace."""
    pace = _pace_of_speech(pipeline)
    # Whole samples: an even number of bytes.
    chunk_bytes = round(pipeline.speech_chunk * _BYTES_PER_SECOND) // 2 * 2
    return TurnPlan(
        round(pipeline.seconds * PLAN_SAMPLE_RATE),
        max(BYTES_PER_SAMPLE, chunk_bytes),
        chunk_pause_ms=round(1000 * pipeline.speech_chunk / pace) if pace else 0,
    )


def _interrupted_plan(pipeline: Pipeline) -> TurnPlan:
    """Return the plan of the simulated turn that is judged if the client interrupts it: the client interrupts
    when the first audio has arrived, and has by then spoken as many chunks as fit into the pipeline's
    `interrupt_after` seconds."""
    spoken_chunks = math.ceil(pipeline.interrupt_after * _pace_of_speech(pipeline) / pipeline.speech_chunk)
    return replace(
        _turn_plan(pipeline), cue=Cue(max(1, spoken_chunks), TurnProgress.AUDIO), act=Behaviour.INTERRUPT
    )


def _pace_of_speech(pipeline: Pipeline) -> float:
    """Return how many seconds of speech the client speaks in a second; 0 if it speaks all at once."""
    return 1.0 if pipeline.audio is AudioPacing.PACED else pipeline.speech_pace


async def _play_client(turn: SimulatedTurn, pipeline: Pipeline, seed: int) -> Trace:
    """Give our own client decoder the messages of a simulated turn, each when it arrived, and return the
    trace by which the decoder is judged."""
    subject = ClientSubject(InProcessTestee(), "our own decoder", seed)
    await subject.attach()
    try:
        return await subject.run(ClientPlan(_client_steps(turn), mode=pipeline.sync.value))
    finally:
        await subject.detach()


def _client_steps(turn: SimulatedTurn) -> tuple[Step, ...]:
    """Return the calls to the client decoder that play a simulated turn again: audio and motion in the order
    of their arrival, an interrupt, and waits between them. After the interrupt, no audio is given any more,
    but motion still is."""
    last_audio_end = turn.audio[-1][1]
    arrivals: list[tuple[float, Step]] = []
    given_ms = 0
    for at, end in turn.audio:
        ms = round(1000 * end) - given_ms
        given_ms += ms
        if at < turn.interrupted_at:
            arrivals.append((at, GiveAudio(ms, end == last_audio_end)))
    if turn.interrupted_at < math.inf:
        arrivals.append((turn.interrupted_at, Do("interrupt")))
    given_keyframes = 0
    for at, end_keyframe in turn.motion:
        arrivals.append((at, Move((PlannedPayload(end_keyframe - given_keyframes),))))
        given_keyframes = end_keyframe
    steps: list[Step] = []
    now_ms = 0
    in_time = (arrival for arrival in arrivals if arrival[0] <= _LONGEST_TURN)
    for at, step in sorted(in_time, key=lambda arrival: arrival[0]):
        if round(1000 * at) > now_ms:
            steps.append(Wait(round(1000 * at) - now_ms))
            now_ms = round(1000 * at)
        steps.append(step)
    return (*steps, Wait(_LAST_WAIT_MS))
