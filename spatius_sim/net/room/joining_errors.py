"""Says why a room cannot be joined. The texts of LiveKit's errors are never passed on: they hold the whole
token."""

from livekit import rtc


def refuses_token(error: rtc.ConnectError) -> bool:
    """Return whether a LiveKit server answered, and does not let the bearer of this token in."""
    return " 401" in error.message or "401 " in error.message


def why_not_joined(url: str, error: rtc.ConnectError | None) -> str:
    """Return in words why the room of the LiveKit server at `url` cannot be joined. `error` is None if no
    answer came in time."""
    refused = error is not None and refuses_token(error)
    reason = "look at key and secret" if refused else "no LiveKit server answers there"
    return f"the room at {url} cannot be joined: {reason}"
