"""Probes: the special sessions and deliberate mistakes that come before the turns of a server's plan."""

from dataclasses import dataclass

from spatius_sim.protocol.messages import EgressType
from spatius_sim.trace.event_text import describe_provocation
from spatius_sim.trace.events import Provocation


@dataclass(frozen=True, slots=True)
class TokenProbe:
    """Asks for a token that expires in `life` seconds; `intent` says which bad key is used (None: a good
    key)."""

    life: int
    intent: Provocation | None = None

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        if self.intent is not None:
            return describe_provocation(self.intent)
        return f"a token asked for that expires in {self.life} s"


@dataclass(frozen=True, slots=True)
class UpgradeProbe:
    """Tries to upgrade with a bad session token or avatar id, in headers or in the query."""

    intent: Provocation
    token_in_query: bool = False

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"{describe_provocation(self.intent)} ({'query' if self.token_in_query else 'headers'})"


@dataclass(frozen=True, slots=True)
class HandshakeProbe:
    """Opens a session and sends a first message that is not a valid configuration."""

    intent: Provocation

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return describe_provocation(self.intent)


@dataclass(frozen=True, slots=True)
class EgressProbe:
    """Speaks `samples` samples on a session with an egress."""

    egress: EgressType
    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"a turn of {self.samples} samples on a session with egress {self.egress.name}"


@dataclass(frozen=True, slots=True)
class ExpiryProbe:
    """Speaks in a session whose token has expired since it was opened, and tries upgrades with expired
    tokens: one that opened this session, and one that was never used, in headers and in the query."""

    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"a turn of {self.samples} samples, and upgrades, after the token has expired"


@dataclass(frozen=True, slots=True)
class InterruptProbe:
    """Interrupts a request after `samples` samples, waits until late motion may no longer come, and speaks
    again. If it is `late`, speaks two requests, and interrupts the first, which has ended, during the
    second."""

    samples: int
    late: bool = False

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        if self.late:
            return f"two turns of {self.samples} samples, and in the second an interrupt of the first"
        return f"an interrupt after {self.samples} samples, then a turn"


@dataclass(frozen=True, slots=True)
class SharedIdProbe:
    """Speaks turns of `samples` samples under req_ids that a second session uses at the same time: for a
    whole turn, for one that it interrupts, and for one in which it leaves. Then a third session uses them."""

    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"turns of {self.samples} samples under req_ids that another connection uses too"


@dataclass(frozen=True, slots=True)
class OpusProbe:
    """Speaks Ogg Opus: in a session at the first of these sample rates several turns. If that is confirmed,
    speaks a turn at each of the other rates, and at last damaged Ogg Opus."""

    sample_rates: tuple[int, ...]

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"turns in Ogg Opus at {', '.join(map(str, self.sample_rates))} Hz, at last a damaged one"


@dataclass(frozen=True, slots=True)
class ManySessionsProbe:
    """Opens so many `sessions` at once, and speaks a turn of `samples` samples in each that is confirmed, in
    all at the same time."""

    sessions: int
    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"{self.sessions} sessions at once, with a turn of {self.samples} samples in each"


Probe = (
    TokenProbe
    | UpgradeProbe
    | HandshakeProbe
    | EgressProbe
    | ExpiryProbe
    | InterruptProbe
    | SharedIdProbe
    | ManySessionsProbe
    | OpusProbe
)
