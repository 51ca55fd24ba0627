"""Relay wires: what travels between a relay and its client, to relay events and back."""

from spatius_sim.wires.wire import Dialect, dialect_named, dialect_names

__all__ = ["Dialect", "dialect_named", "dialect_names"]
