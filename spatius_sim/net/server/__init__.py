"""Motion Server over real sockets."""
