"""What a wire must be able to do, and the wires by name."""

from typing import Protocol

from spatius_sim.protocol.errors import UsageError
from spatius_sim.wires.binary_header import BinaryHeader
from spatius_sim.wires.events import ClientAction, Frame, RelayEvent
from spatius_sim.wires.json_envelope import JsonEnvelope
from spatius_sim.wires.typed_json import TypedJson


class Wire(Protocol):
    """One relay wire. Reading never raises: what cannot be understood becomes Garbage or Unclear. Writing
    gives the frames in their order, and none where the wire has no way to say it."""

    @property
    def name(self) -> str:
        """The name that `--wire` takes."""

    @property
    def lacks(self) -> frozenset[str]:
        """The features (see `features`) that the wire lacks."""

    @property
    def greets(self) -> bool:
        """Whether a relay on this wire says Ready before it takes audio."""

    @property
    def http_paths(self) -> tuple[str, ...]:
        """Paths at which a relay on this wire answers GET requests of its clients."""

    @property
    def declaration(self) -> str:
        """The YAML text that describes the wire; "" for one that is built in."""

    def read_relay(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """A frame from the relay, as the client understands it: one event at least."""

    def write_relay(self, event: RelayEvent) -> tuple[Frame, ...]:
        """The frames by which a relay says `event`."""

    def read_client(self, frame: Frame) -> ClientAction:
        """A frame from the client, as the relay understands it."""

    def write_client(self, action: ClientAction) -> tuple[Frame, ...]:
        """The frames by which a client does `action`."""


_BUILT_IN: tuple[Wire, ...] = (JsonEnvelope(), BinaryHeader(), TypedJson())
_WIRES = {wire.name: wire for wire in _BUILT_IN}


def published_wire_names() -> list[str]:
    """The wires that `--wire` knows."""
    return sorted(_WIRES)


def published_wire(name: str) -> Wire:
    """The wire of that name; raises UsageError for an unknown one."""
    try:
        return _WIRES[name]
    except KeyError:
        known = ", ".join(published_wire_names())
        raise UsageError(f"no wire is named {name!r}; known wires: {known}") from None
