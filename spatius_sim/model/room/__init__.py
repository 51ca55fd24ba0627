"""What is in a room: the playback of speech and motion, and the client that watches it."""
