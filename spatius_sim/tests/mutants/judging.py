"""Judges one mutant as a subject: in virtual time, rule by rule until the first that FAILED. It is not judged
under choices with which the honest brain does not run what is mutated."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

from spatius_sim.engine.run_profiles import profile_named
from spatius_sim.miniatures.room.honest_rooms import AnswersLikeARealRoom
from spatius_sim.miniatures.server.opus_servers import ToneForEachPacket
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.model.server.access_control import AccessControl
from spatius_sim.model.server.decode_audio_input import OpusCodec
from spatius_sim.model.server.price_plan_limits import UNLIMITED, SessionPlan
from spatius_sim.model.server.response_pace import FAST, REALTIME, Pace
from spatius_sim.model.server.session import ServerSession
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.server_access import ServerInMemory
from spatius_sim.subjects.server_sessions import ServerAddress
from spatius_sim.subjects.server_subject import ServerSubject
from spatius_sim.subjects.subject_base import Patience, Subject, canary_key
from spatius_sim.tests.mutants.lines_run import Lines, note_lines, runs_mutated
from spatius_sim.tests.mutants.mutant import MODULES, Mutant
from spatius_sim.tests.mutants.relay_choices import RELAY_CHOICES
from spatius_sim.tests.suspects import NOWHERE, Hearing, Suspect, attached
from spatius_sim.virtual import virtual_motion_server
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_room import VirtualRoom


@dataclass(frozen=True, slots=True)
class ServerChoices:
    """How a Motion Server is made whose sessions are judged."""

    pace: Pace = FAST
    opus: OpusCodec | None = None
    plan: SessionPlan = UNLIMITED


SERVERS = {
    "fast": ServerChoices(),
    "realtime, with Opus, four sessions": ServerChoices(
        REALTIME, ToneForEachPacket, SessionPlan(max_sessions=4)
    ),
}
"""A session is judged at the first of these; if no rule names it, at the other, and then in a room."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    LEFT_OPEN = "left open"
    """No rule named it, and yet it did not pass: a MUST rule stayed open that ci promises to judge."""
    NOT_RUN = "not run"
    """No plan runs what is mutated, under any choice: nothing could tell it from the honest brain."""
    CRASHED = "crashed"
    TIMED_OUT = "timed out"


_HONEST: dict[str, type[Any]] = {"client": ClientDecoder, "relay": PlainRelay, "server": ServerSession}

_LINES_RUN: dict[tuple[str, str], Lines] = {}
"""By kind and choices: which lines of the mutated modules the honest brain ran in this process."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A mutant's fate, with the rule that FAILED or stayed open, or the error that it raised."""

    fate: Fate
    by: str = ""

    @property
    def passes(self) -> bool:
        """Whether the judge finds nothing wrong with it."""
        return self.fate in (Fate.SURVIVED, Fate.NOT_RUN)

    def __str__(self) -> str:
        return f"{self.fate} by {self.by}" if self.by else str(self.fate)


def draw_plans(kind: str, seed: int) -> None:
    """Judge the honest brain of this kind, whose mutants are then judged by the same plans, and under those
    choices alone that run what is mutated. Raises RuntimeError if it does not pass."""
    paths = [module.path for module in MODULES.values() if module.kind == kind]
    for choices, suspect in _find_suspects(kind, _HONEST[kind]):
        with note_lines(paths) as _LINES_RUN[kind, choices]:
            judged = _hear(suspect, seed)
        if judged.fate is not Fate.SURVIVED:
            raise RuntimeError(f"the honest {kind} ({choices}) was {judged}")


def judge(mutant: Mutant, seed: int) -> Judged:
    """Judge a mutant from this seed. This changes modules of the running process, and nothing undoes it."""
    best = Judged(Fate.NOT_RUN)
    kind = MODULES[mutant.module].kind
    try:
        brain = _install(mutant)
        for choices, suspect in _find_suspects(kind, brain):
            lines = _LINES_RUN.get((kind, choices))
            if lines is not None and not runs_mutated(mutant, lines):
                continue
            judged = _hear(suspect, seed)
            if choices and judged.by:
                judged = replace(judged, by=f"{judged.by} ({choices})")
            if judged.fate is Fate.KILLED:
                return judged
            if judged.fate is Fate.LEFT_OPEN or best.fate is Fate.NOT_RUN:
                best = judged
    except Exception as error:
        return Judged(Fate.CRASHED, f"{type(error).__name__}: {error}".partition("\n")[0])
    return best


def _hear(suspect: Suspect, seed: int) -> Judged:
    """Judge the suspect in virtual time, until a rule FAILED."""
    attach = _attach_session if suspect.kind == "server" else attached
    with (
        tempfile.TemporaryDirectory() as folder,
        Hearing(suspect, seed, Path(folder), attach=attach) as hearing,
    ):
        return hear_rule_by_rule(hearing, suspect.kind)


def hear_rule_by_rule(hearing: Hearing, kind: str, only: Sequence[str] = ()) -> Judged:
    """Judge a subject of this kind rule by rule, or by these rules `only`, until one FAILED. The plans that
    always run come first, because they are few and name most. A rule that a scenario of another rule broke
    comes next."""
    ci = profile_named("ci")
    to_judge = list(only) or [rule.id for rule in rules_for(kind)]
    for rule_id in to_judge:
        outcome = hearing.of(rule_id, drawn_too=False)
        if failed := _find_failed(hearing, outcome):
            return Judged(Fate.KILLED, failed)
        if hearing.accusations.intersection(to_judge):
            break
    left_open = []
    while to_judge:
        accused = hearing.accusations
        rule_id = next((rule_id for rule_id in to_judge if rule_id in accused), to_judge[0])
        to_judge.remove(rule_id)
        outcome = hearing.of(rule_id)
        if failed := _find_failed(hearing, outcome):
            return Judged(Fate.KILLED, failed)
        if ci.requires(rule_id) and outcome.verdict not in (Verdict.PASSED, Verdict.NOT_APPLICABLE):
            left_open.append(rule_id)
    return Judged(Fate.LEFT_OPEN, left_open[0]) if left_open else Judged(Fate.SURVIVED)


def _find_failed(hearing: Hearing, outcome: RuleOutcome) -> str:
    """Return the rule of this outcome if it FAILED, or a rule judged before that its scenarios broke, as in a
    user's run; "" if there is none."""
    outcomes = (outcome, *hearing.newly_broken(outcome))
    return next((found.rule_id for found in outcomes if found.verdict is Verdict.FAILED), "")


def _install(mutant: Mutant) -> type[Any]:
    """Load the mutated code, and return the class of the brain that has it."""
    if mutant.cell is not None:
        # The judge has tables of its own, which stay as they are: the player of its report uses them.
        decoder = _load("decoder_with_another_table", MODULES["decoder"].path.read_text())
        number, value = mutant.cell
        table = dict(vars(decoder)[mutant.where])
        table[list(table)[number]] = value
        vars(decoder)[mutant.where] = table
        with_another_table: type[Any] = decoder.ClientDecoder
        return with_another_table
    module = _load(f"{MODULES[mutant.module].name}_mutated", mutant.source)
    if mutant.module == "send_responses":
        sys.modules[MODULES[mutant.module].name] = module
        session = MODULES["session"]
        sends_mutated: type[Any] = _load(f"{session.name}_that_sends", session.path.read_text()).ServerSession
        return sends_mutated
    names = {"decoder": "ClientDecoder", "relay": "PlainRelay", "session": "ServerSession"}
    brain: type[Any] = getattr(module, names[mutant.module])
    return brain


def _load(name: str, source: str) -> ModuleType:
    """Return a new module of this name, with this source."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def _find_suspects(kind: str, brain: type[Any]) -> Iterator[tuple[str, Suspect]]:
    """Yield the subjects that have this brain, each with the name of the choices that it makes."""
    match kind:
        case "relay":
            for name, (policy, wire) in RELAY_CHOICES.items():
                yield name, Suspect(kind, type("Mutant", (brain,), {"policy": policy}), wire=wire)
        case "server":
            vars(virtual_motion_server)["ServerSession"] = brain
            for name, choices in SERVERS.items():
                yield name, Suspect(kind, type("Mutant", (brain,), {"choices": choices}))
            yield "in a room", Suspect("room", VirtualRoom)
            yield "in a real room", Suspect("room", AnswersLikeARealRoom)
        case _:
            yield "", Suspect(kind, brain)


@asynccontextmanager
async def _attach_session(suspect: Suspect, seed: int) -> AsyncIterator[Subject[Any]]:
    """Attach our own Motion Server in virtual time, which takes the kit's key alone, and is made as the
    brain's `choices` say."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    key = canary_key(seed)
    choices: ServerChoices = suspect.brain.choices
    server = virtual_motion_server.VirtualMotionServer(
        loop,
        seed,
        access=AccessControl(frozenset({key})),
        pace=choices.pace,
        opus=choices.opus,
        plan=choices.plan,
    )
    place = ServerAddress(NOWHERE, NOWHERE, key, find_lacks=False)
    yield ServerSubject(
        place, RealTimeRecorder(clock_ns=loop.time_ns), seed, Patience(), ServerInMemory(loop, server)
    )
