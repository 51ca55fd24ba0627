"""Fuzzing: small programs that read bytes as a stranger may send them, and who calls them with what."""
