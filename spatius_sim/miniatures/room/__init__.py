"""Miniatures of egresses in a room: wrong in one way, or honest and different."""
