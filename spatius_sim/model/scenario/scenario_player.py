"""Decides which faults of a scenario happen now: counts, narrows down, and throws the dice."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from spatius_sim.model.scenario.dice import roll
from spatius_sim.model.scenario.injected import injected
from spatius_sim.model.scenario.scenario import (
    NO_FAULTS,
    Delay,
    Fault,
    FaultAction,
    Moment,
    Refuse,
    Reset,
    Scenario,
    Stall,
)
from spatius_sim.trace.events import Injected


@dataclass(frozen=True, slots=True)
class Admission:
    """Says what a token request or an upgrade meets: a wait in seconds, then `ending` (None lets it in)."""

    wait: float = 0.0
    ending: Refuse | Stall | Reset | None = None
    faults: tuple[Injected, ...] = ()


class Spoken(NamedTuple):
    """Says how much audio has come: so many seconds, in so many messages."""

    seconds: float
    messages: int


@dataclass(slots=True)
class ConnectionFaults:
    """The faults that concern connection number `number`. `requests` counts those of all connections, from
    1."""

    seed: int = 0
    number: int = 0
    faults: Sequence[Fault] = ()
    requests: Iterator[int] = field(default_factory=lambda: count(1))
    _rolls: dict[int, int] = field(default_factory=dict)
    _past: set[int] = field(default_factory=set)

    def admission(self) -> Admission:
        """Return what the upgrade meets."""
        return _admission_of(self.actions_at(Moment.UPGRADE), self.seed, self.number)

    def actions_at(self, moment: Moment) -> list[FaultAction]:
        """Return what happens at a moment that needs no counting."""
        return [
            step
            for index, fault in enumerate(self.faults)
            if fault.when.at is moment and self._dice_say_yes(index, fault)
            for step in fault.what
        ]

    def actions_at_response(self, number: int, request: int = 1) -> list[FaultAction]:
        """Return what happens to response `number` (1, 2, ...) of request number `request`."""
        return [
            step
            for index, fault in enumerate(self.faults)
            if fault.when.at is Moment.RESPONSE
            and fault.when.number in (0, number)
            and fault.when.request in (0, request)
            and self._dice_say_yes(index, fault)
            for step in fault.what
        ]

    def actions_after_audio(self, in_all: Spoken, request: int, in_request: Spoken) -> list[FaultAction]:
        """Return what happens now that so much audio has come on this connection, and so much of it in
        request number `request`."""
        happening: list[FaultAction] = []
        for index, fault in enumerate(self.faults):
            when = fault.when
            if when.at is not Moment.AUDIO or index in self._past or when.request not in (0, request):
                continue
            come = in_request if when.request else in_all
            enough = come.messages >= when.messages if when.seconds is None else come.seconds >= when.seconds
            if enough:
                self._past.add(index)
                happening += fault.what if self._dice_say_yes(index, fault) else ()
        return happening

    def seconds_until_faults(self, moment: Moment) -> dict[int, float]:
        """Return the seconds for which a fault waits, by its index."""
        return {
            index: fault.when.seconds or 0.0
            for index, fault in enumerate(self.faults)
            if fault.when.at is moment
        }

    def actions_after_wait(self, index: int) -> Sequence[FaultAction]:
        """Return what happens when the time of fault `index` has passed."""
        fault = self.faults[index]
        return fault.what if self._dice_say_yes(index, fault) else ()

    def may_act_at(self, moment: Moment) -> bool:
        """Whether anything may happen at that moment; if not, nothing needs to be counted for it."""
        return any(fault.when.at is moment for fault in self.faults)

    def _dice_say_yes(self, index: int, fault: Fault) -> bool:
        rolls = self._rolls[index] = self._rolls.get(index, 0) + 1
        probability = fault.when.probability
        return probability >= 1 or roll(self.seed, "fault", self.number, index, rolls) < probability


@dataclass(slots=True)
class ScenarioPlayer:
    """Plays a scenario: counts token requests and connections."""

    seed: int = 0
    scenario: Scenario = NO_FAULTS
    _connections: int = 0
    _token_requests: int = 0
    _requests: Iterator[int] = field(default_factory=lambda: count(1))

    def play(self, scenario: Scenario) -> None:
        """Play this scenario; the next token request and the next connection are number 1."""
        self.scenario = scenario
        self._connections = self._token_requests = 0
        self._requests = count(1)

    def token_requested(self, app_id: str) -> Admission:
        """Return what a token request meets."""
        self._token_requests += 1
        number = self._token_requests
        faults = self._faults_for_connection(number, app_id, "", token=True)
        return _admission_of(
            ConnectionFaults(self.seed, number, faults).actions_at(Moment.TOKEN), self.seed, number
        )

    def faults_of_new_connection(
        self, app_id: str, avatar_id: str, meant: Iterable[Fault] = ()
    ) -> ConnectionFaults:
        """Return what awaits a new connection: the scenario's faults, and those that its ids ask for."""
        self._connections += 1
        number = self._connections
        faults = (*self._faults_for_connection(number, app_id, avatar_id, token=False), *meant)
        return ConnectionFaults(self.seed, number, faults, self._requests)

    def was_connected(self, app_id: str, avatar_id: str, meant: Iterable[Fault] = ()) -> ConnectionFaults:
        """Return what awaits a connection older than the scenario: only faults that name no connection."""
        faults = (*self._faults_for_connection(0, app_id, avatar_id, token=False), *meant)
        return ConnectionFaults(self.seed, 0, faults, self._requests)

    def _faults_for_connection(
        self, number: int, app_id: str, avatar_id: str, *, token: bool
    ) -> tuple[Fault, ...]:
        """Return the faults that concern this connection, or this token request."""
        return tuple(
            fault
            for fault in self.scenario.faults
            if (fault.when.at is Moment.TOKEN) is token
            and fault.when.connection in (0, number)
            and fault.when.app in ("", app_id)
            and fault.when.avatar in ("", avatar_id)
        )


def seconds_of(delay: Delay, seed: int, *drawn: str | int) -> float:
    """Return how long this delay lasts, in seconds."""
    return delay.seconds + delay.jitter * roll(seed, "delay", *drawn)


def _admission_of(steps: Sequence[FaultAction], seed: int, number: int) -> Admission:
    """Sum up the faults at the door: how long the upgrade waits, and what it meets then."""
    wait = 0.0
    happening: list[Injected] = []
    for index, step in enumerate(steps):
        happening.append(injected(step))
        match step:
            case Delay():
                wait += seconds_of(step, seed, "entrance", number, index)
            case Refuse() | Stall() | Reset():
                return Admission(wait, step, tuple(happening))
            case _:
                raise AssertionError(f"{step} is not for the door: the table ALLOWED refuses it")
    return Admission(wait, None, tuple(happening))
