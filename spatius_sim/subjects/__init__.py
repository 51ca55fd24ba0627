"""How each kind of subject is attached and driven."""
