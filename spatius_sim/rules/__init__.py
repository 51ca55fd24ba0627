"""The judge: the catalogue, and one check for each of its rules."""
