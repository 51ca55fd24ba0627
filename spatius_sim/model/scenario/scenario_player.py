"""Decides which faults of a scenario happen now: by the moment, by the connection and request, and by
chance."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from spatius_sim.model.scenario.fault_events import make_fault_event
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
from spatius_sim.model.scenario.seeded_numbers import roll
from spatius_sim.trace.events import Injected


@dataclass(frozen=True, slots=True)
class Admission:
    """What happens to a token request or an upgrade: a `wait` in seconds, then `ending`; None means that the
    request is answered as usual. `faults` are the events for the trace."""

    wait: float = 0.0
    ending: Refuse | Stall | Reset | None = None
    faults: tuple[Injected, ...] = ()


class Spoken(NamedTuple):
    """How much audio has arrived: its seconds, and its number of messages."""

    seconds: float
    messages: int


@dataclass(slots=True)
class ConnectionFaults:
    """The faults that concern one connection, and which of them have happened. `number` is the connection's
    number; `requests` numbers the requests of all connections from 1."""

    seed: int = 0
    number: int = 0
    faults: Sequence[Fault] = ()
    requests: Iterator[int] = field(default_factory=lambda: count(1))
    _decisions: dict[int, int] = field(default_factory=dict)
    """How often chance has decided about each fault, by the fault's index."""
    _past_faults: set[int] = field(default_factory=set)
    """The indexes of the faults after audio whose moment has come; this moment comes only once."""

    def admission(self) -> Admission:
        """Return what happens to the upgrade of this connection."""
        return _admission_of(self.actions_at(Moment.UPGRADE), self.seed, self.number)

    def actions_at(self, moment: Moment) -> list[FaultAction]:
        """Return the actions of the faults that the scenario plays now on this connection, at a moment that
        has no number and waits for nothing, such as the upgrade or an interrupt. Chance may leave a fault
        out."""
        return [
            step
            for index, fault in enumerate(self.faults)
            if fault.when.at is moment and self._chance_allows(index, fault)
            for step in fault.what
        ]

    def actions_at_response(self, number: int, request: int = 1) -> list[FaultAction]:
        """Return the actions of the faults that the scenario plays now, at response number `number` (1, 2,
        ...) to request number `request`. Chance may leave a fault out."""
        return [
            step
            for index, fault in enumerate(self.faults)
            if fault.when.at is Moment.RESPONSE
            and fault.when.number in (0, number)
            and fault.when.request in (0, request)
            and self._chance_allows(index, fault)
            for step in fault.what
        ]

    def actions_after_audio(
        self, on_connection: Spoken, request: int, in_request: Spoken
    ) -> list[FaultAction]:
        """Return the actions of the scenario's faults that happen after this much audio: `on_connection` is
        all audio of the connection, `in_request` that of request number `request`. Each fault happens only
        once."""
        actions: list[FaultAction] = []
        for index, fault in enumerate(self.faults):
            when = fault.when
            if when.at is not Moment.AUDIO or index in self._past_faults or when.request not in (0, request):
                continue
            audio = in_request if when.request else on_connection
            enough = (
                audio.messages >= when.messages if when.seconds is None else audio.seconds >= when.seconds
            )
            if enough:
                self._past_faults.add(index)
                actions += fault.what if self._chance_allows(index, fault) else ()
        return actions

    def seconds_until_faults(self, moment: Moment) -> dict[int, float]:
        """Return how many seconds after this moment each fault of the scenario happens that belongs to the
        moment: the seconds by the fault's index."""
        return {
            index: fault.when.seconds or 0.0
            for index, fault in enumerate(self.faults)
            if fault.when.at is moment
        }

    def actions_after_wait(self, index: int) -> Sequence[FaultAction]:
        """Return the actions of fault `index`, now that its waiting time has passed; an empty list if chance
        leaves it out."""
        fault = self.faults[index]
        return fault.what if self._chance_allows(index, fault) else ()

    def may_act_at(self, moment: Moment) -> bool:
        """Return whether a fault may happen at this moment; if not, nothing needs to be counted for it."""
        return any(fault.when.at is moment for fault in self.faults)

    def _chance_allows(self, index: int, fault: Fault) -> bool:
        """Decide by chance whether this fault of the scenario happens now: each decision has a random number
        of its own, made from the seed, which is compared with the probability of the fault. `index` is the
        number of the fault in the scenario."""
        decision_number = self._decisions[index] = self._decisions.get(index, 0) + 1
        probability = fault.when.probability
        return probability >= 1 or roll(self.seed, "fault", self.number, index, decision_number) < probability


@dataclass(slots=True)
class ScenarioPlayer:
    """Plays a scenario: numbers token requests and connections, and returns the faults for each."""

    seed: int = 0
    scenario: Scenario = NO_FAULTS
    _connections: int = 0
    _token_requests: int = 0
    _requests: Iterator[int] = field(default_factory=lambda: count(1))

    def play(self, scenario: Scenario) -> None:
        """Play this scenario from now on: the next token request, connection and request are number 1
        again."""
        self.scenario = scenario
        self._connections = self._token_requests = 0
        self._requests = count(1)

    def token_requested(self, app_id: str) -> Admission:
        """Count a request for a session token, and return what the scenario that is being played does to this
        request: whether the answer waits, and whether it is refused, stalled or reset."""
        self._token_requests += 1
        number = self._token_requests
        faults = self._faults_for_connection(number, app_id, "", token=True)
        return _admission_of(
            ConnectionFaults(self.seed, number, faults).actions_at(Moment.TOKEN), self.seed, number
        )

    def faults_of_new_connection(
        self, app_id: str, avatar_id: str, faults_of_ids: Iterable[Fault] = ()
    ) -> ConnectionFaults:
        """Count a new connection, and return the faults of this connection: those of the scenario, and
        `faults_of_ids`, which its app id and avatar id ask for."""
        self._connections += 1
        number = self._connections
        faults = (*self._faults_for_connection(number, app_id, avatar_id, token=False), *faults_of_ids)
        return ConnectionFaults(self.seed, number, faults, self._requests)

    def faults_of_old_connection(
        self, app_id: str, avatar_id: str, faults_of_ids: Iterable[Fault] = ()
    ) -> ConnectionFaults:
        """Return the faults of a connection that was open before this scenario began to play: those of the
        scenario that name no connection, and `faults_of_ids`, which its app id and avatar id ask for."""
        faults = (*self._faults_for_connection(0, app_id, avatar_id, token=False), *faults_of_ids)
        return ConnectionFaults(self.seed, 0, faults, self._requests)

    def _faults_for_connection(
        self, number: int, app_id: str, avatar_id: str, *, token: bool
    ) -> tuple[Fault, ...]:
        """Return the faults that the scenario being played has for connection number `number`, which was
        opened with this app id and avatar id; if `token`, its faults for token request number `number`."""
        return tuple(
            fault
            for fault in self.scenario.faults
            if (fault.when.at is Moment.TOKEN) is token
            and fault.when.connection in (0, number)
            and fault.when.app in ("", app_id)
            and fault.when.avatar in ("", avatar_id)
        )


def draw_delay_seconds(delay: Delay, seed: int, *draw_name: str | int) -> float:
    """Return how many seconds a delay lasts; the seed and `draw_name` decide its jitter."""
    return delay.seconds + delay.jitter * roll(seed, "delay", *draw_name)


def _admission_of(steps: Sequence[FaultAction], seed: int, number: int) -> Admission:
    """Return what these faults of the scenario together do to an upgrade or a token request: how long it
    waits, and how it ends. The faults after the one that ends the request are left out. `number` (of the
    request) and `seed` decide by chance how long a delay is."""
    wait = 0.0
    events: list[Injected] = []
    for index, step in enumerate(steps):
        events.append(make_fault_event(step))
        match step:
            case Delay():
                wait += draw_delay_seconds(step, seed, "entrance", number, index)
            case Refuse() | Stall() | Reset():
                return Admission(wait, step, tuple(events))
            case _:
                raise AssertionError(
                    f"{step} cannot happen to an upgrade or a token request: the table ALLOWED refuses it"
                )
    return Admission(wait, None, tuple(events))
