"""Miniatures of clients: wrong in one way, or honest and different."""
