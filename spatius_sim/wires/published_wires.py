"""The published wires by name."""

from spatius_sim.protocol.errors import UsageError
from spatius_sim.wires.binary_header import BinaryHeader
from spatius_sim.wires.json_envelope import JsonEnvelope
from spatius_sim.wires.typed_json import TypedJson
from spatius_sim.wires.wire import Wire

_BUILT_IN_WIRES: tuple[Wire, ...] = (JsonEnvelope(), BinaryHeader(), TypedJson())


_WIRE_BY_NAME = {wire.name: wire for wire in _BUILT_IN_WIRES}


def published_wire_names() -> list[str]:
    """Return the names of the built-in wires in alphabetical order, as `--wire` takes them."""
    return sorted(_WIRE_BY_NAME)


def published_wire(name: str) -> Wire:
    """Return the built-in wire (a message format between a relay and its clients) that has this name; the
    option `--wire` takes the same names. Raises UsageError if no built-in wire has this name."""
    try:
        return _WIRE_BY_NAME[name]
    except KeyError:
        known_names = ", ".join(published_wire_names())
        raise UsageError(f"no wire is named {name!r}; known wires: {known_names}") from None
