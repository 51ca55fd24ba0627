"""`spatius-sim demo`: real speech through a whole pipeline, in two conversations."""
