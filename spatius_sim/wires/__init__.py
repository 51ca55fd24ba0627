"""Relay wires: each turns the frames between a relay and its client into relay events, and back."""

from spatius_sim.wires.wire import Wire, published_wire, published_wire_names

__all__ = ["Wire", "published_wire", "published_wire_names"]
