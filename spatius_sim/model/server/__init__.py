"""Motion Server's brain."""
