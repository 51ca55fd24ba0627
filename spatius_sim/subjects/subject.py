"""."""

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeVar

from spatius_sim.model.scenario.meaningful_ids import APP_ID, AVATAR_ID
from spatius_sim.net.server.one_port import OnePort
from spatius_sim.trace.events import FALLBACK_WAIT, Trace


def canary_key(seed: int) -> str:
    """The API key that a relay under test is to use: 32 characters, the same for the same seed. Should it
    come down to a client, it is recognised."""
    return hashlib.blake2b(f"canary {seed}".encode(), digest_size=16).hexdigest()


def relay_environment(server: OnePort, api_key: str) -> dict[str, str]:
    """The environment variables that point a relay at our Motion Server."""
    return {
        "SPATIUS_CONSOLE_ENDPOINT": server.console_endpoint,
        "SPATIUS_INGRESS_ENDPOINT": server.ingress_endpoint,
        "SPATIUS_API_KEY": api_key,
        "SPATIUS_APP_ID": APP_ID,
        "SPATIUS_AVATAR_ID": AVATAR_ID,
    }


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: `attach` for the subject to answer at all, `settle` without a sign of
    life before what is missing counts as missing, `fallback` for a relay to fall back to audio alone."""

    attach: float = 10.0
    settle: float = 3.0
    fallback: float = FALLBACK_WAIT


PlanOf = TypeVar("PlanOf", contravariant=True)


class Subject(Protocol[PlanOf]):
    """A thing under test, for one kind of plan."""

    @property
    def kind(self) -> str:
        """`relay`, `server` or `client`: which rules judge it."""

    @property
    def target(self) -> str:
        """What the user named, or what stands in for it."""

    @property
    def wire(self) -> str:
        """The name of the wire that it speaks; "" for none."""

    async def attach(self) -> None:
        """Make sure that it is there; raises UnreachableError."""

    @property
    def was_hasty(self) -> bool:
        """Whether the last run cut a wait short: what it misses may have come later."""

    async def run(self, plan: PlanOf, *, patient: bool = False) -> Trace:
        """Run one scenario on fresh connections, and wait as long as the user allows if it is to be
        `patient`; raises UnreachableError if no connection can be had."""

    async def detach(self) -> None:
        """Let go of everything."""
