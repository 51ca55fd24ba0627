"""What people write: YAML with errors by file, line and key, and speech as WAV."""
