"""What goes wrong on purpose, and when: scenarios as values."""
