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
from spatius_sim.model.network.message_overhead import WireKind, count_bytes_on_tcp
from spatius_sim.model.network.network_profile import NetworkProfile
from spatius_sim.model.network.tcp import TcpFlow
from spatius_sim.model.relay.policy import RelayPolicy, SessionScope
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
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
    draw_turn_network,
    make_flow_to_client,
    simulate_turn,
)
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee
from spatius_sim.subjects.relay.connect_to_relay import RelayInMemory
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.subject_base import Patience, canary_key
from spatius_sim.trace.events import Trace
from spatius_sim.virtual.memory_connection import Link
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_relay import VirtualRelay

TURNS_PER_JUDGED_TURN = 20
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
    rng = np.random.default_rng([seed & (2**63 - 1), TURNS_PER_JUDGED_TURN])
    return [
        begin + int(rng.integers(min(TURNS_PER_JUDGED_TURN, turns - begin)))
        for begin in range(0, turns, TURNS_PER_JUDGED_TURN)
    ]


def judge_turn(
    pipeline: Pipeline,
    network: NetworkProfile,
    seed: int,
    turn_number: int,
    relay_class: type[PlainRelay] = PlainRelay,
) -> list[BrokenRule]:
    """Simulate this turn of the study again, now with the bytes of all messages, and return the rules that it
    broke.

    The rules for relays judge a relay of `relay_class` over the simulated network, unless a message takes so
    long that nobody would wait for it. The rules for clients judge our own client. Each message is given to
    it at the time when the message arrived in the simulation."""
    loop = VirtualLoop()
    turn_network = draw_turn_network(pipeline, network, seed, turn_number)
    link_to_client = _LinkToClient(make_flow_to_client(pipeline, network, turn_network))
    turn = simulate_turn(pipeline, network, seed, turn_number)
    broken = []
    try:
        if turn.audio[-1][0] <= LONGEST_WAIT:
            trace = loop.run(
                _speak_judged_turn(loop, pipeline, turn_network, link_to_client, seed, relay_class), None
            )
            broken = [] if link_to_client.given_up else _find_broken_rules(trace)
        return broken + _find_broken_rules(loop.run(_play_turn_on_client(turn, pipeline, seed), None))
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
        arrived = self._flow.write(now, count_bytes_on_tcp(size)).arrived
        self.given_up |= arrived - now > LONGEST_WAIT
        return arrived


def _find_broken_rules(trace: Trace) -> list[BrokenRule]:
    """Judge the trace of a turn, and return the rules that fail on it. Each comes with the first wrong thing
    that was seen or, if none is listed, with the reason for the verdict."""
    return [
        BrokenRule(rule, judgement.broken[0].actual if judgement.broken else judgement.reason)
        for rule, judgement in judge(trace).items()
        if judgement.verdict is Verdict.FAILED
    ]


async def _speak_judged_turn(
    loop: VirtualLoop,
    pipeline: Pipeline,
    turn_network: TurnNetwork,
    link_to_client: _LinkToClient,
    seed: int,
    relay_class: type[PlainRelay],
) -> Trace:
    """Let a client speak a turn to our relay, in virtual time and over the network that was drawn for the
    turn. Return the trace, by which the rules judge the relay. Frames from the relay reach the client over
    `link_to_client`.

    If chance says so (`interrupt_roll`), the client interrupts the turn and then speaks another."""
    half_trip, region_trip = turn_network.round_trip / 2, turn_network.region_trips[pipeline.region]
    wire = find_wire(_WIRES[pipeline.wire])
    recorder = RealTimeRecorder(clock_ns=loop.time_ns, wire=wire)
    server = VirtualMotionServer(
        loop, seed, recorder, link=Link(delay_seconds=region_trip / 2), pace=pipeline.pace
    )
    numbers = count(1)
    relay = relay_class(canary_key(seed), lambda: f"request-{next(numbers)}")
    relay.policy = _make_relay_policy(pipeline)
    to_client = Link(capacity_bytes=pipeline.send_buffer, compute_arrival=link_to_client.arrival)
    access = RelayInMemory(
        loop, VirtualRelay(loop, relay, wire, server), to_client, Link(delay_seconds=half_trip)
    )
    address = RelayAddress("ws://relay.invalid")
    subject = RelaySubject(address, wire, recorder, seed, _PATIENCE, server, access=access)
    await subject.attach()
    interrupted = turn_network.interrupt_roll < pipeline.interrupted_share
    turns = (
        (_make_interrupted_plan(pipeline), _AFTER_INTERRUPT) if interrupted else (_make_turn_plan(pipeline),)
    )
    return await subject.run(Plan((turns,)), patient=True)


def _make_relay_policy(pipeline: Pipeline) -> RelayPolicy:
    """Return the policy of our relay for a judged turn, as the study's pipeline chooses it. It says how long
    messages of audio are, and how many payloads a message of motion holds. It also says whether a session
    with Motion Server is kept after the turn, and that the relay waits for Motion Server as long as the kit
    itself waits (`_PATIENCE`)."""
    keeps_sessions = pipeline.sessions is Sessions.KEPT
    return RelayPolicy(
        audio_chunk_bytes=max(BYTES_PER_SAMPLE, round(pipeline.audio_chunk * _BYTES_PER_SECOND) // 2 * 2),
        payloads_per_message=pipeline.payloads_per_message,
        session_scope=SessionScope.CLIENT if keeps_sessions else SessionScope.TURN,
        silence_seconds=_PATIENCE.settle,
    )


def _make_turn_plan(pipeline: Pipeline) -> TurnPlan:
    """Return the plan for the turn that is judged. As in the simulation, the client speaks for
    `pipeline.seconds`, in chunks of the same length and at the same pace."""
    pace = _pace_of_speech(pipeline)
    # Whole samples: an even number of bytes.
    chunk_bytes = round(pipeline.speech_chunk * _BYTES_PER_SECOND) // 2 * 2
    return TurnPlan(
        round(pipeline.seconds * PLAN_SAMPLE_RATE),
        max(BYTES_PER_SAMPLE, chunk_bytes),
        chunk_pause_ms=round(1000 * pipeline.speech_chunk / pace) if pace else 0,
    )


def _make_interrupted_plan(pipeline: Pipeline) -> TurnPlan:
    """Return the plan for a judged turn (one of each twenty turns of a study) that the client interrupts. It
    interrupts when the first audio has arrived and it has spoken for `pipeline.interrupt_after` seconds, at
    least one chunk."""
    chunk_count = math.ceil(pipeline.interrupt_after * _pace_of_speech(pipeline) / pipeline.speech_chunk)
    return replace(
        _make_turn_plan(pipeline), cue=Cue(max(1, chunk_count), TurnProgress.AUDIO), act=Behaviour.INTERRUPT
    )


def _pace_of_speech(pipeline: Pipeline) -> float:
    """Return how many seconds of speech the client speaks in a second; 0 if it speaks all at once."""
    return 1.0 if pipeline.audio is AudioPacing.PACED else pipeline.speech_pace


async def _play_turn_on_client(turn: SimulatedTurn, pipeline: Pipeline, seed: int) -> Trace:
    """Give the messages of a simulated turn to our own client decoder, each at the time when it arrived.
    Return the trace, by which the rules judge the decoder."""
    subject = ClientSubject(InProcessTestee(), "our own decoder", seed)
    await subject.attach()
    try:
        return await subject.run(ClientPlan(_make_client_steps(turn), mode=pipeline.sync.value))
    finally:
        await subject.detach()


def _make_client_steps(turn: SimulatedTurn) -> tuple[Step, ...]:
    """Return the calls that play a simulated turn on the client decoder again: audio and motion as they
    arrived, an interrupt if there was one, and waits between them.

    Audio after the interrupt is left out, but motion is not. What arrived after `_LONGEST_TURN` seconds is
    also left out."""
    last_audio_end = turn.audio[-1][1]
    arrivals: list[tuple[float, Step]] = []
    given_ms = 0
    for at, end_seconds in turn.audio:
        ms = round(1000 * end_seconds) - given_ms
        given_ms += ms
        if at < turn.interrupted_at:
            arrivals.append((at, GiveAudio(ms, end_seconds == last_audio_end)))
    if turn.interrupted_at < math.inf:
        arrivals.append((turn.interrupted_at, Do("interrupt")))
    given_keyframes = 0
    for at, end_keyframe in turn.motion:
        arrivals.append((at, Move((PlannedPayload(end_keyframe - given_keyframes),))))
        given_keyframes = end_keyframe
    steps: list[Step] = []
    now_ms = 0
    played_arrivals = (arrival for arrival in arrivals if arrival[0] <= _LONGEST_TURN)
    for at, step in sorted(played_arrivals, key=lambda arrival: arrival[0]):
        if round(1000 * at) > now_ms:
            steps.append(Wait(round(1000 * at) - now_ms))
            now_ms = round(1000 * at)
        steps.append(step)
    return (*steps, Wait(_LAST_WAIT_MS))
