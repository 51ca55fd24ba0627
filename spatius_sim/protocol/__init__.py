"""Motion Server's protocol: messages as frozen values, their codec, keyframes, ids and the two state
tables."""
