"""Clients over real sockets: of relays, of Motion Server, and testees."""
