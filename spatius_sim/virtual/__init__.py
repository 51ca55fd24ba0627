"""Runs the logic of `model` (its brains) on a virtual clock: one clock, one queue, and connections in memory.
The counterpart of `net`."""
