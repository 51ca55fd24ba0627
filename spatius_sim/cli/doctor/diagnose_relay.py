"""Asks a relay a few questions: does it answer, on which wire, does it reach us, what comes back?"""

from dataclasses import dataclass, replace

from spatius_sim.cli.doctor.find_turn_offers import list_turn_offers
from spatius_sim.engine.detect_dead_subject import describe_first_trouble
from spatius_sim.engine.run_settings import Settings
from spatius_sim.engine.start_run import Run
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, TurnProgress
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import AudioInput
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.relay.start_turns import CLIENT_AUDIO_START
from spatius_sim.subjects.subject_base import Subject, WorkLoop
from spatius_sim.trace.events import Closed, Lane, Opened, Received, Refused, TokenRequested, Trace
from spatius_sim.trace.known_secrets import redact_text_fields
from spatius_sim.wires.events import Audio, Interrupted, Motion, NotUnderstood, Ready

_SAMPLES, _CHUNK_BYTES = 8000, 3200
_PLAN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RelayDiagnosis:
    """What a relay did in a short turn on one wire. "Up" is to our Motion Server, "down" to the client.

    `unreachable`: why no turn was possible, or "". `understood_count` and `garbage_count`: how many messages
    this wire understands, and how many not. `close_code`: the code with which the relay hung up, or 0.
    `token_life_seconds`: how long, by our clock, its token was to be valid. `refusal`: how our Motion Server
    refused its session, or "". `first_trouble`: what was refused, or what the relay itself said of trouble.
    `last_output`: the last lines of its process, if the kit started it. `unknown_path`: the first method and
    path that was asked of our Motion Server and does not exist. `turn_option`: how the turn was started, as
    `--turn` says it, if the client's audio started none; "" else."""

    wire: str
    unreachable: str = ""
    greets: bool = False
    understood_count: int = 0
    garbage_count: int = 0
    first_garbage: str = ""
    close_code: int = 0
    asked_for_token: bool = False
    token_status: int = 0
    token_life_seconds: float | None = None
    refusal: str = ""
    opened_session: bool = False
    sent_audio_up: bool = False
    sent_audio_down: bool = False
    sent_motion_down: bool = False
    interrupts: bool = False
    first_trouble: str = ""
    last_output: str = ""
    unknown_path: str = ""
    turn_option: str = ""

    @property
    def has_whole_turn(self) -> bool:
        """Whether the relay sent the client's audio up to Motion Server, and motion down to the client."""
        return self.sent_audio_up and self.sent_motion_down


def diagnose(settings: Settings) -> RelayDiagnosis:
    """Speak a turn to the relay of these settings, and return what the relay did. The client's audio starts
    the turn, unless the settings say otherwise.

    If the settings name no wire (message format), find it out. If the client's audio leads to no whole turn,
    try the ways to start one that the relay itself offers.

    Raises UsageError if the relay cannot be started, or if an option is wrong."""
    diagnosis, turn_offers = _diagnose_once(settings)
    if settings.turn == CLIENT_AUDIO_START and not diagnosis.has_whole_turn:
        for turn_option in turn_offers:
            new_settings = replace(settings, wire=settings.wire or diagnosis.wire, turn=turn_option)
            new_diagnosis, _ = _diagnose_once(new_settings)
            if new_diagnosis.has_whole_turn:
                return replace(new_diagnosis, turn_option=turn_option)
    return diagnosis


def _diagnose_once(settings: Settings) -> tuple[RelayDiagnosis, list[str]]:
    """Start a run with these settings, speak a turn to the relay, and return the diagnosis: what the relay
    did. `diagnose` may do this several times, with other ways to start the turn. Return also the ways that
    the relay offers, as values of `--turn`; none if it was not reached."""
    run = Run(settings)
    try:
        run.open()
        trial = run.trial_for("relay")
        subject = trial.subject
        diagnosis = ask_subject(subject, trial.loop, settings)
        last_output = subject.last_output if isinstance(subject, RelaySubject) else ""
        turn_offers = (
            [] if diagnosis.unreachable else list_turn_offers(subject.target, subject.wire, settings.wire)
        )
        diagnosis = replace(diagnosis, last_output=last_output, unknown_path=run.unknown_path)
        return redact_text_fields(diagnosis, run.secrets), turn_offers
    finally:
        run.close()


def ask_subject(subject: Subject[Plan], loop: WorkLoop, settings: Settings) -> RelayDiagnosis:
    """Speak a turn to the relay `subject`, and return what the relay did. After a whole turn, speak a second
    one, and interrupt it. If the relay cannot be reached, or is lost, the diagnosis says why."""
    wire = settings.wire
    try:
        loop.run(subject.attach(), None)
        wire = subject.wire
        diagnosis = _diagnosis_from(loop.run(subject.run(_one_turn_plan()), _PLAN_SECONDS))
        if diagnosis.has_whole_turn:
            interrupting_plan = _one_turn_plan(Cue(2, TurnProgress.NOTHING), Behaviour.INTERRUPT)
            received = _received_values(loop.run(subject.run(interrupting_plan), _PLAN_SECONDS))
            return replace(diagnosis, interrupts=any(isinstance(value, Interrupted) for value in received))
        return diagnosis
    except (UnreachableError, TimeoutError) as error:
        return RelayDiagnosis(wire, unreachable=str(error) or "it kept us waiting too long")


def _one_turn_plan(cue: Cue | None = None, behaviour: Behaviour = Behaviour.GO_ON) -> Plan:
    """Return a plan for the diagnosis: one client speaks one short turn, and behaves so at this cue."""
    return Plan(((TurnPlan(_SAMPLES, _CHUNK_BYTES, cue or Cue(), behaviour),),))


def _diagnosis_from(trace: Trace) -> RelayDiagnosis:
    """Return what the relay did in the one turn of this trace."""
    received = _received_values(trace)
    garbage = [value.reason for value in received if isinstance(value, NotUnderstood)]
    tokens = [
        event.content for event in trace.on_lane(Lane.CONSOLE) if isinstance(event.content, TokenRequested)
    ]
    refusals = [event.content for event in trace.events if isinstance(event.content, Refused)]
    close_codes = [
        event.content.code
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if isinstance(event.content, Closed) and not event.content.by_kit
    ]
    upstream = [event.content for event in trace.on_lane(Lane.UPSTREAM)]
    sent_audio_up = any(
        isinstance(content, Received) and isinstance(content.value, AudioInput) for content in upstream
    )
    sent_motion_down = any(isinstance(value, Motion) and value.payloads for value in received)
    return RelayDiagnosis(
        trace.header.wire,
        greets=any(isinstance(value, Ready) for value in received),
        understood_count=sum(isinstance(value, Ready | Audio | Motion) for value in received),
        garbage_count=len(garbage),
        first_garbage=garbage[0] if garbage else "",
        close_code=close_codes[0] if close_codes else 0,
        asked_for_token=bool(tokens),
        token_status=tokens[0].status if tokens else 0,
        token_life_seconds=_token_life_seconds(tokens[0]) if tokens else None,
        refusal=f"HTTP {refusals[0].status} {refusals[0].reason}" if refusals else "",
        opened_session=any(isinstance(content, Opened) for content in upstream),
        sent_audio_up=sent_audio_up,
        sent_audio_down=any(isinstance(value, Audio) and value.pcm for value in received),
        sent_motion_down=sent_motion_down,
        first_trouble=describe_first_trouble(trace),
    )


def _token_life_seconds(request: TokenRequested) -> float | None:
    """Return for how many seconds the session token of this request was to be valid; None if the request does
    not say."""
    return None if request.expire_at is None else request.expire_at - request.now


def _received_values(trace: Trace) -> list[object]:
    """Return the values of all messages that the client received from the relay."""
    return [
        event.content.value for event in trace.on_lane(Lane.DOWNSTREAM) if isinstance(event.content, Received)
    ]
