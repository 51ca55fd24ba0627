"""A link of the network as values: its capacity over time, its round trip, and TCP above it."""
