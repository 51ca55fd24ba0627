"""The player: a tape as one page on which a face moves and every message has its place."""
