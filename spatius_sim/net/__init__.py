"""Real sockets and clocks: thin shells around the brains, which tell a given recorder what happens."""
