"""E rules: what is seen, heard and told in the room of an egress."""
