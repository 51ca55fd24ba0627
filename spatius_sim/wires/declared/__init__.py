"""The wire that a team declares in YAML."""
