"""Asks a relay a few questions: does it answer, on which wire, does it reach us, what comes back?"""

from dataclasses import dataclass, replace

from spatius_sim.engine.evidence import sign_of_trouble
from spatius_sim.engine.run import Run
from spatius_sim.engine.settings import Settings
from spatius_sim.plans.behaviour import Behaviour, Cue, TurnProgress
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import AudioInput
from spatius_sim.subjects.relay.subject import RelaySubject
from spatius_sim.subjects.subject import Subject, WorkLoop
from spatius_sim.trace.events import Closed, Lane, Opened, Received, Refused, TokenRequested, Trace
from spatius_sim.trace.secret_places import texts_without_secrets
from spatius_sim.wires.events import Audio, Interrupted, Motion, NotUnderstood, Ready

_SAMPLES, _CHUNK_BYTES = 8000, 3200
_PLAN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RelayDiagnosis:
    """What a relay showed on one wire. `unreachable` is why it could not be asked at all; `garbage` counts
    the messages that are none on this wire, and `understood` those that are; `closed` is the code with which
    it hung up; `seen` is what was refused, or what the relay itself said, "" for nothing, and `last_output`
    what its process wrote last, if the kit started it."""

    wire: str
    unreachable: str = ""
    greets: bool = False
    understood: int = 0
    garbage: int = 0
    first_garbage: str = ""
    closed: int = 0
    asked_for_token: bool = False
    token_status: int = 0
    refused: str = ""
    reached_us: bool = False
    spoke_up: bool = False
    audio_down: bool = False
    motion_down: bool = False
    interrupts: bool = False
    seen: str = ""
    last_output: str = ""

    @property
    def whole_turn(self) -> bool:
        """Whether audio went up and motion came down."""
        return self.spoke_up and self.motion_down


def diagnose(settings: Settings) -> RelayDiagnosis:
    """The answers on the wire of these settings, or on the one that is found out.

    Raises UsageError as a run of the judge does.
    """
    run = Run(settings)
    try:
        run.open()
        trial = run.trial_for("relay")
        subject = trial.subject
        answers = ask_subject(subject, trial.loop, settings)
        last = subject.last_output if isinstance(subject, RelaySubject) else ""
        return texts_without_secrets(replace(answers, last_output=last), run.secrets)
    finally:
        run.close()


def ask_subject(subject: Subject[Plan], loop: WorkLoop, settings: Settings) -> RelayDiagnosis:
    """The answers of that relay; if it is lost, why."""
    wire = settings.wire
    try:
        loop.run(subject.attach(), None)
        wire = subject.wire
        answers = _diagnosis_from(loop.run(subject.run(_one_turn_plan()), _PLAN_SECONDS))
        if answers.whole_turn:
            interrupted = _one_turn_plan(Cue(2, TurnProgress.NOTHING), Behaviour.INTERRUPT)
            heard = _received_values(loop.run(subject.run(interrupted), _PLAN_SECONDS))
            return replace(answers, interrupts=any(isinstance(value, Interrupted) for value in heard))
        return answers
    except (UnreachableError, TimeoutError) as error:
        return RelayDiagnosis(wire, unreachable=str(error) or "it kept us waiting too long")


def _one_turn_plan(cue: Cue | None = None, act: Behaviour = Behaviour.GO_ON) -> Plan:
    return Plan(((TurnPlan(_SAMPLES, _CHUNK_BYTES, cue or Cue(), act),),))


def _diagnosis_from(trace: Trace) -> RelayDiagnosis:
    """Read from the trace of one turn how far the relay came."""
    heard = _received_values(trace)
    garbage = [value.reason for value in heard if isinstance(value, NotUnderstood)]
    tokens = [event.what for event in trace.on_lane(Lane.CONSOLE) if isinstance(event.what, TokenRequested)]
    refusals = [event.what for event in trace.events if isinstance(event.what, Refused)]
    closes = [
        event.what.code
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if isinstance(event.what, Closed) and not event.what.by_kit
    ]
    upstream = [event.what for event in trace.on_lane(Lane.UPSTREAM)]
    spoke_up = any(isinstance(what, Received) and isinstance(what.value, AudioInput) for what in upstream)
    motion_down = any(isinstance(value, Motion) and value.payloads for value in heard)
    return RelayDiagnosis(
        trace.header.wire,
        greets=any(isinstance(value, Ready) for value in heard),
        understood=sum(isinstance(value, Ready | Audio | Motion) for value in heard),
        garbage=len(garbage),
        first_garbage=garbage[0] if garbage else "",
        closed=closes[0] if closes else 0,
        asked_for_token=bool(tokens),
        token_status=tokens[0].status if tokens else 0,
        refused=f"HTTP {refusals[0].status} {refusals[0].reason}" if refusals else "",
        reached_us=any(isinstance(what, Opened) for what in upstream),
        spoke_up=spoke_up,
        audio_down=any(isinstance(value, Audio) and value.pcm for value in heard),
        motion_down=motion_down,
        seen=sign_of_trouble(trace),
    )


def _received_values(trace: Trace) -> list[object]:
    return [e.what.value for e in trace.on_lane(Lane.DOWNSTREAM) if isinstance(e.what, Received)]
