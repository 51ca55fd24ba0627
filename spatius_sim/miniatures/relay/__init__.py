"""Miniatures of relays: wrong in one way, or honest and different."""
