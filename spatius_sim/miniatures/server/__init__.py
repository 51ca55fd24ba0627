"""Miniatures of Motion Servers: wrong in one way, or honest and different."""
