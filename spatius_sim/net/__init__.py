"""Sockets: thin shells around the brains, emitting into a recorder that they are given."""
