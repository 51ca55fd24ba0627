"""Relay wires: each turns the frames between a relay and its client into relay events, and back."""

from spatius_sim.wires.published_wires import published_wire, published_wire_names
from spatius_sim.wires.wire import Wire

__all__ = ["Wire", "published_wire", "published_wire_names"]
