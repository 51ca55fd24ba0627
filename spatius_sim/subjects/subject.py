"""What every kind of subject has: its methods, its patience, and the environment of a relay."""

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeVar

from spatius_sim.model.scenario.meaningful_ids import APP_ID, AVATAR_ID
from spatius_sim.net.server.one_port import OnePort
from spatius_sim.protocol.environment import credential_variables, endpoint_variables
from spatius_sim.trace.events import FALLBACK_WAIT, Trace


def canary_key(seed: int) -> str:
    """Return the API key that a relay under test is to use: 32 characters, the same for the same seed. The
    kit recognises this key if it comes down to a client."""
    return hashlib.blake2b(f"canary {seed}".encode(), digest_size=16).hexdigest()


def relay_environment(server: OnePort, api_key: str) -> dict[str, str]:
    """Return the environment variables that point a relay at our Motion Server."""
    endpoints = endpoint_variables(server.console_endpoint, server.ingress_endpoint)
    return endpoints | credential_variables(api_key, APP_ID, AVATAR_ID)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the kit waits, in seconds: `attach` until the subject answers at all; `settle` without a sign
    of life until what has not come counts as missing; `fallback` until a relay goes on with audio alone."""

    attach: float = 10.0
    settle: float = 3.0
    fallback: float = FALLBACK_WAIT


PlanOf = TypeVar("PlanOf", contravariant=True)


class Subject(Protocol[PlanOf]):
    """A thing under test, and how plans of one kind are run against it."""

    @property
    def kind(self) -> str:
        """`relay`, `server` or `client`: which rules judge it."""

    @property
    def target(self) -> str:
        """The address or command that the user named, or the name of our own subject."""

    @property
    def wire(self) -> str:
        """The name of the wire that the subject speaks; "" for none."""

    async def attach(self) -> None:
        """Make sure that the subject answers. Raises UnreachableError."""

    @property
    def was_hasty(self) -> bool:
        """Whether the last run cut a wait short: what is missing from its trace may have come later."""

    async def run(self, plan: PlanOf, *, patient: bool = False) -> Trace:
        """Run one plan on fresh connections. A `patient` run waits as long as the user allows. Raises
        UnreachableError if no connection can be had."""

    async def detach(self) -> None:
        """End the connections and processes that the kit holds."""
