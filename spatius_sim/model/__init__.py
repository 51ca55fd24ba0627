"""The brains: events in, commands out. Time, randomness and ids come in as values."""
