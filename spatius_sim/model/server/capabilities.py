"""What a Motion Server may declare in its confirmation, beyond the public protocol (spatialreal).

Both concern sessions with an egress. Older servers declare nothing, and ignore pause and resume.
"""

PLAYBACK_CONTROL = "playback_control"
"""A request in a room can be paused, and goes on from where it stopped."""

PLAYBACK_STATE = "playback_state"
"""The socket tells where the playback of a request stands: when it begins, waits, goes on and is over."""

CAPABILITIES = (PLAYBACK_CONTROL, PLAYBACK_STATE)
