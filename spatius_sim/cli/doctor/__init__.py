"""`spatius-sim doctor`: finds out why a relay does not work."""
