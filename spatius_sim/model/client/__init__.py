"""The client decoder's brain, with its tables."""
