"""Real LiveKit rooms: who publishes in them, and who watches."""
