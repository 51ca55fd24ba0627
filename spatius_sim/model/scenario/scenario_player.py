"""Decides which faults of a scenario happen now: by the moment, by the connection and request, and by
chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
from spatius_sim.model.scenario.seeded_numbers import seeded_fraction
from spatius_sim.trace.events import Injected


@dataclass(frozen=True, slots=True)
class Admission:
    """What happens to a token request or an upgrade: a `wait` in seconds, then `ending`; None means that the
    request is answered as usual. `faults` are the events for the trace."""

    wait: float = 0.0
    ending: Refuse | Stall | Reset | None = None
    faults: tuple[Injected, ...] = ()


class AudioAmount(NamedTuple):
    """How much audio has arrived: its seconds, and its number of messages."""

    seconds: float
    messages: int


@dataclass(slots=True)
class RequestCount:
    """Numbers the requests of all connections from 1. `begun`: how many have begun."""

    begun: int = 0

    def next_number(self) -> int:
        """Count a request that begins, and return its number."""
        self.begun += 1
        return self.begun


@dataclass(slots=True)
class ConnectionFaults:
    """The faults that concern one connection, and which of them have happened. `number` is the connection's
    number; `requests` numbers the requests of all connections."""

    seed: int = 0
    number: int = 0
    faults: Sequence[Fault] = ()
    requests: RequestCount = field(default_factory=RequestCount)
    _decision_counts: dict[int, int] = field(default_factory=dict)
    """How often chance has decided about each fault, by the fault's index."""
    _past_faults: set[int] = field(default_factory=set)
    """The indexes of the faults after audio whose moment has come; this moment comes only once."""

    def admit_upgrade(self) -> Admission:
        """Return what the scenario does to the upgrade of this connection to WebSocket."""
        return _decide_admission(self.actions_at(Moment.UPGRADE), self.seed, self.number)

    def actions_at(self, moment: Moment) -> list[FaultAction]:
        """Return the actions of the faults that happen on this connection at this moment, such as the upgrade
        to WebSocket or an interrupt. Faults that chance leaves out are not among them. Responses, amounts of
        audio, and waits have methods of their own below."""
        return [
            action
            for index, fault in enumerate(self.faults)
            if fault.when.at is moment
            and fault.when.request <= self.requests.begun
            and self._chance_allows(index, fault)
            for action in fault.what
        ]

    def actions_at_response(self, response_number: int, request_number: int = 1) -> list[FaultAction]:
        """Return the actions of the faults that happen at this response to this request. Both numbers begin
        at 1. Faults that chance leaves out are not among them."""
        return [
            action
            for index, fault in enumerate(self.faults)
            if fault.when.at is Moment.RESPONSE
            and fault.when.number in (0, response_number)
            and fault.when.request in (0, request_number)
            and self._chance_allows(index, fault)
            for action in fault.what
        ]

    def actions_after_audio(
        self, audio_of_connection: AudioAmount, request_number: int, audio_of_request: AudioAmount
    ) -> list[FaultAction]:
        """Return the actions of the faults that happen because enough audio has arrived. A fault that names a
        request counts only the audio of that request; all others count the audio of the connection. Each
        fault happens only once; one with a probability below 1 may not happen at all."""
        actions: list[FaultAction] = []
        for index, fault in enumerate(self.faults):
            when = fault.when
            is_for_request = when.request in (0, request_number)
            if when.at is not Moment.AUDIO or index in self._past_faults or not is_for_request:
                continue
            audio = audio_of_request if when.request else audio_of_connection
            if when.seconds is None:
                is_enough = audio.messages >= when.messages
            else:
                is_enough = audio.seconds >= when.seconds
            if is_enough:
                self._past_faults.add(index)
                actions += fault.what if self._chance_allows(index, fault) else ()
        return actions

    def seconds_until_faults(self, moment: Moment) -> dict[int, float]:
        """Return for each fault that the scenario has at this moment how many seconds after the moment it
        happens. The key is the fault's index among the faults of this connection."""
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
        """Decide by chance whether this fault of a connection happens now; return True if it does. The seed
        gives each decision its own random number. The fault happens if the number is below the fault's
        probability. `index` is the fault's index among the faults of the connection."""
        decision_number = self._decision_counts[index] = self._decision_counts.get(index, 0) + 1
        probability = fault.when.probability
        if probability >= 1:
            return True
        return seeded_fraction(self.seed, "fault", self.number, index, decision_number) < probability


@dataclass(slots=True)
class ScenarioPlayer:
    """Plays a scenario: numbers token requests and connections, and returns the faults for each."""

    seed: int = 0
    scenario: Scenario = NO_FAULTS
    _connections: int = 0
    _token_requests: int = 0
    _requests: RequestCount = field(default_factory=RequestCount)

    def play(self, scenario: Scenario) -> None:
        """Play this scenario from now on. The next token request, connection and request have the number 1
        again."""
        self.scenario = scenario
        self._connections = self._token_requests = 0
        self._requests = RequestCount()

    def admit_token_request(self, app_id: str) -> Admission:
        """Count a request for a session token of this app. Return what the scenario does to it: how long the
        answer waits, and whether the request is refused, stalled or reset."""
        self._token_requests += 1
        request_number = self._token_requests
        faults = self._faults_for_connection(request_number, app_id, "", for_token=True)
        return _decide_admission(
            ConnectionFaults(self.seed, request_number, faults).actions_at(Moment.TOKEN),
            self.seed,
            request_number,
        )

    def faults_of_new_connection(
        self, app_id: str, avatar_id: str, faults_of_ids: Iterable[Fault] = ()
    ) -> ConnectionFaults:
        """Count a new connection, and return its faults: those that the scenario has for it, and
        `faults_of_ids`, which are chosen by its app id and avatar id."""
        self._connections += 1
        connection_number = self._connections
        faults = (
            *self._faults_for_connection(connection_number, app_id, avatar_id, for_token=False),
            *faults_of_ids,
        )
        return ConnectionFaults(self.seed, connection_number, faults, self._requests)

    def faults_of_open_connection(
        self, app_id: str, avatar_id: str, faults_of_ids: Iterable[Fault] = ()
    ) -> ConnectionFaults:
        """Return the faults of a connection that was already open when this scenario began: those of the
        scenario that name no connection number, and `faults_of_ids`, which are chosen by its app id and
        avatar id."""
        faults = (*self._faults_for_connection(0, app_id, avatar_id, for_token=False), *faults_of_ids)
        return ConnectionFaults(self.seed, 0, faults, self._requests)

    def _faults_for_connection(
        self, number: int, app_id: str, avatar_id: str, *, for_token: bool
    ) -> tuple[Fault, ...]:
        """Return the scenario's faults for a connection with this app id and avatar id; if `for_token`, for a
        token request. `number` counts the connections, or the token requests. Faults with the connection 0
        are for every one of them."""
        return tuple(
            fault
            for fault in self.scenario.faults
            if (fault.when.at is Moment.TOKEN) is for_token
            and fault.when.connection in (0, number)
            and fault.when.app in ("", app_id)
            and fault.when.avatar in ("", avatar_id)
        )


def draw_delay_seconds(delay: Delay, seed: int, *draw_name: str | int) -> float:
    """Return how many seconds a delay lasts. The seed and `draw_name` decide its jitter by chance."""
    return delay.seconds + delay.jitter * seeded_fraction(seed, "delay", *draw_name)


def _decide_admission(actions: Sequence[FaultAction], seed: int, request_number: int) -> Admission:
    """Return what these actions of a scenario's faults together do to an upgrade or a token request: how long
    it waits, and how it ends. Actions after the one that refuses, stalls or resets it are left out. `seed`
    and `request_number` decide by chance how long a delay is."""
    wait_seconds = 0.0
    events: list[Injected] = []
    for index, action in enumerate(actions):
        events.append(make_fault_event(action))
        match action:
            case Delay():
                wait_seconds += draw_delay_seconds(action, seed, "entrance", request_number, index)
            case Refuse() | Stall() | Reset():
                return Admission(wait_seconds, action, tuple(events))
            case _:
                raise AssertionError(
                    f"{action} cannot happen to an upgrade or a token request: ALLOWED_ACTIONS refuses it"
                )
    return Admission(wait_seconds, None, tuple(events))
