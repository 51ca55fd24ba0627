"""The published wires by name."""

from spatius_sim.protocol.errors import UsageError
from spatius_sim.wires.binary_header import BinaryHeader
from spatius_sim.wires.json_envelope import JsonEnvelope
from spatius_sim.wires.typed_json import TypedJson
from spatius_sim.wires.wire import Wire

_BUILT_IN: tuple[Wire, ...] = (JsonEnvelope(), BinaryHeader(), TypedJson())


_WIRES = {wire.name: wire for wire in _BUILT_IN}


def published_wire_names() -> list[str]:
    """Return the names of the built-in wires in alphabetical order, as `--wire` takes them."""
    return sorted(_WIRES)


def published_wire(name: str) -> Wire:
    """Return the published wire with this name, as the option `--wire` names it. Raises UsageError if no wire
    is published under this name."""
    try:
        return _WIRES[name]
    except KeyError:
        known = ", ".join(published_wire_names())
        raise UsageError(f"no wire is named {name!r}; known wires: {known}") from None
