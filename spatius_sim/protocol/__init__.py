"""The wire: messages as frozen values, their codec, keyframes, ids and the two state tables."""
