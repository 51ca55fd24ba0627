"""What every kind of subject has: its methods, its patience, and the environment of a relay."""

import hashlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.net.server.one_port_server import OnePort
from spatius_sim.protocol.environment_variables import credential_variables, endpoint_variables
from spatius_sim.subjects.wait_for_events import LONGEST_TURN_SECONDS
from spatius_sim.trace.events import FALLBACK_WAIT, Trace


def canary_key(seed: int) -> str:
    """Return the API key that a subject under test must use: 32 characters, the same for the same seed. The
    kit recognises this key if a relay sends it to a client."""
    return hashlib.blake2b(f"canary {seed}".encode(), digest_size=16).hexdigest()


def relay_environment(server: OnePort, api_key: str) -> dict[str, str]:
    """Return the environment variables that point a relay at our Motion Server."""
    endpoints = endpoint_variables(server.console_endpoint, server.ingress_endpoint)
    return endpoints | credential_variables(api_key, APP_ID, AVATAR_ID)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the kit waits, in seconds.

    `attach`: until the subject must have answered for the first time. `settle`: how long the subject may be
    silent before what it owes counts as missing. `fallback`: until a relay must go on with audio alone,
    after Motion Server has failed. `turn`: for a whole turn beyond its speech, even if messages still
    come."""

    attach: float = 10.0
    settle: float = 3.0
    fallback: float = FALLBACK_WAIT
    turn: float = LONGEST_TURN_SECONDS


T = TypeVar("T")


class WorkLoop(Protocol):
    """Runs coroutines for code that is not asynchronous, in real or in virtual time."""

    def run(self, work: Coroutine[Any, Any, T], seconds: float | None) -> T:
        """Run `work` and return its result; raises TimeoutError if it takes longer than `seconds` (None: the
        work bounds itself)."""

    def stop(self) -> None:
        """End all work that still runs, then the loop."""


PlanOf = TypeVar("PlanOf", contravariant=True)


class Subject(Protocol[PlanOf]):
    """Something under test, with the methods that run plans of one kind against it."""

    @property
    def kind(self) -> str:
        """`relay`, `server` or `client`: which rules judge the subject."""

    @property
    def target(self) -> str:
        """The address or command that the user named, or the name of our own subject."""

    @property
    def wire(self) -> str:
        """The name of the wire that the subject speaks; "" for none."""

    async def attach(self) -> None:
        """Start or reach the subject, and wait until it answers. Raises UnreachableError if it does not."""

    @property
    def cut_a_wait_short(self) -> bool:
        """Whether the last run shortened a wait, so that what its trace lacks may have arrived later."""

    async def run(self, plan: PlanOf, *, patient: bool = False) -> Trace:
        """Run one plan on new connections, and return the trace. If `patient`, each wait has its full length.

        Raises UnreachableError if the subject takes no connection."""

    async def detach(self) -> None:
        """End the connections and processes that the kit holds."""
