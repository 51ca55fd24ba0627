"""Probes: the special sessions and deliberate mistakes that come before the turns of a server's plan."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

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
class PiecesProbe:
    """Speaks `samples` samples on a session with an egress, in pieces with short gaps. A LiveKit egress has
    an idle time-out of `idle_timeout` seconds (0: the server's own), which is shorter than the speech."""

    egress: EgressType
    samples: int
    idle_timeout: int = 0

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        idle = f" and an idle time-out of {self.idle_timeout} s" * bool(self.idle_timeout)
        return f"{self.samples} samples in pieces on a session with egress {self.egress.name}{idle}"


@dataclass(frozen=True, slots=True)
class ExpiryProbe:
    """Speaks in a session whose token has expired since it was opened, and tries upgrades with expired
    tokens: one that opened this session, and one that was never used, in headers and in the query."""

    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"a turn of {self.samples} samples, and upgrades, after the token has expired"


class InterruptMoment(StrEnum):
    """When a request is interrupted. The first moment needs a wait, in which late motion of others may come:
    a probe begins with it."""

    AT_FIRST_MOTION = "at its first motion"
    IN_SPEECH = "in mid-speech"
    BEFORE_END = "before its end mark"
    AFTER_END = "right after its end mark"


@dataclass(frozen=True, slots=True)
class InterruptedRequest:
    """A request of `samples` samples that is interrupted at this moment; of one that is interrupted in
    mid-speech, only half is spoken."""

    samples: int
    at: InterruptMoment


@dataclass(frozen=True, slots=True)
class InterruptProbe:
    """Interrupts requests in one session, one right after the other. When late motion may no longer come, it
    speaks a turn of `samples` samples, and a short one. After each chunk of long speech it waits
    `chunk_pause_ms` milliseconds."""

    interrupted: tuple[InterruptedRequest, ...]
    samples: int
    chunk_pause_ms: int = 0

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        counts = Counter(f"of {request.samples} samples {request.at}" for request in self.interrupted)
        requests = ", ".join(f"{count} {request}" for request, count in counts.items())
        pace = f", a pause of {self.chunk_pause_ms} ms after each chunk" * bool(self.chunk_pause_ms)
        return f"interrupts of requests ({requests}), then a turn of {self.samples} samples{pace}"


@dataclass(frozen=True, slots=True)
class LateInterruptProbe:
    """Speaks two requests of `samples` samples, and interrupts the first, which has ended, during the
    second."""

    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"two turns of {self.samples} samples, and in the second an interrupt of the first"


@dataclass(frozen=True, slots=True)
class ClipProbe:
    """Speaks a turn of `trial_samples` samples. If it is answered within a second, speaks one of `samples`
    samples in one message, at this `sample_rate`: a server that works in real time would take too long."""

    trial_samples: int
    samples: int
    sample_rate: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        seconds = self.samples // self.sample_rate
        trial = f"if {self.trial_samples} samples are answered within a second"
        return f"a clip of {seconds} s in one message at {self.sample_rate} Hz, {trial}"


class DepartureMoment(StrEnum):
    """When a session is left: in mid-speech, when a third was said; right after the speech, or after the
    first response to it."""

    IN_SPEECH = "in mid-speech"
    AFTER_SPEECH = "right after the speech"
    AT_FIRST_MOTION = "at its first motion"


@dataclass(frozen=True, slots=True)
class Departure:
    """How a session ends before its motion is complete: at which moment, and by a close or by a reset of its
    connection."""

    at: DepartureMoment
    by_reset: bool


@dataclass(frozen=True, slots=True)
class LeavingProbe:
    """Speaks `samples` samples at once in a session for each of these `departures`, one after the other, and
    leaves it. Then speaks a turn of `short_samples` samples in as many new sessions."""

    departures: tuple[Departure, ...]
    samples: int
    short_samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words. Each departure is a session that is left early."""
        count = len(self.departures)
        return (
            f"{count} sessions left before the motion of {self.samples} samples is complete, then {count} "
            f"turns of {self.short_samples} samples in new ones"
        )


@dataclass(frozen=True, slots=True)
class RepeatedClipProbe:
    """Says a clip of `samples` samples in one message. When it is answered, says the same clip again, and
    right after it another one. Each message has a trace context, as sdk-py 1.1 sends it."""

    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"a clip of {self.samples} samples, and once more, with another one right after it"


@dataclass(frozen=True, slots=True)
class PauseProbe:
    """Pauses a request of `samples` samples in a session without a room, lets it go on, and speaks again,
    with gaps of some seconds."""

    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        turn = f"a turn of {self.samples} samples"
        return f"{turn} that is paused and goes on, without a room; then a turn with gaps"


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
    all at the same time. One more session is opened before, and stays silent: it is never configured."""

    sessions: int
    samples: int

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"{self.sessions} sessions at once, with a turn of {self.samples} samples in each"


ShortProbe = PiecesProbe | ExpiryProbe | InterruptProbe | PauseProbe | RepeatedClipProbe
"""The probes that may run while another one takes its time."""


@dataclass(frozen=True, slots=True)
class LongProbe:
    """Runs a probe that takes `long`, and others `meanwhile`, one by one: so the run takes less time. At most
    two sessions are open at once, because a plan of the service may allow no more."""

    long: InterruptProbe
    meanwhile: tuple[ShortProbe, ...]

    def __str__(self) -> str:
        """Return this probe of a Motion Server in words."""
        return f"{self.long}; at the same time: {'; then '.join(map(str, self.meanwhile))}"


Probe = (
    TokenProbe
    | UpgradeProbe
    | HandshakeProbe
    | EgressProbe
    | ExpiryProbe
    | PiecesProbe
    | InterruptProbe
    | LateInterruptProbe
    | LeavingProbe
    | ClipProbe
    | RepeatedClipProbe
    | PauseProbe
    | SharedIdProbe
    | ManySessionsProbe
    | OpusProbe
    | LongProbe
)
