"""What a wire must be able to do, and the wires by name."""

from typing import Protocol

from spatius_sim.dialects.events import ClientAction, RelayEvent
from spatius_sim.dialects.json_envelope import JsonEnvelope
from spatius_sim.protocol.errors import UsageError


class Dialect(Protocol):
    """One relay wire. Reading never raises: what cannot be understood becomes Garbage or Unclear."""

    @property
    def name(self) -> str:
        """The name that `--wire` takes."""

    def read_relay(self, frame: str | bytes) -> RelayEvent:
        """A frame from the relay, as the client understands it."""

    def write_relay(self, event: RelayEvent) -> str | bytes:
        """The frame by which a relay says `event`."""

    def read_client(self, frame: str | bytes) -> ClientAction:
        """A frame from the client, as the relay understands it."""

    def write_client(self, action: ClientAction) -> str | bytes:
        """The frame by which a client does `action`."""


_DIALECTS: dict[str, Dialect] = {"json-envelope": JsonEnvelope()}


def dialect_names() -> list[str]:
    """The wires that `--wire` knows."""
    return sorted(_DIALECTS)


def dialect_named(name: str) -> Dialect:
    """The wire of that name; raises UsageError for an unknown one."""
    try:
        return _DIALECTS[name]
    except KeyError:
        known = ", ".join(dialect_names())
        raise UsageError(f"no wire is named {name!r}; known wires: {known}") from None
