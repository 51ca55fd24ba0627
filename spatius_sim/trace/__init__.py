"""What happened: events, the recorder whose clock comes in, and the one redaction of secrets."""
