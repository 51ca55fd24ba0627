"""How a relay is attached, spoken to and watched."""
