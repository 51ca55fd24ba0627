"""Rules for client decoders."""
