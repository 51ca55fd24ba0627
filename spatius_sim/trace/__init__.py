"""What happened in a run: the events, the recorder that writes them down, and the redaction of secrets."""
