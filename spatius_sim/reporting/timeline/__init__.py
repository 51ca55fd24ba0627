"""The time-line of a failure."""
