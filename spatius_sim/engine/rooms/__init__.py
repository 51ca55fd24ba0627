"""Runs that judge what happens in a room: an egress, or an agent together with our server."""
