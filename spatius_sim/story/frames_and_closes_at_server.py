"""Says what happened at Motion Server, whether the kit plays it or its client: which frames came to the
server, and whether the server closed a connection."""

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NO_CODE
from spatius_sim.protocol.messages import ConfigureSession
from spatius_sim.trace.events import Closed, Lane, Received, Sent, Trace

_CLOSES_IN_WORDS = {
    NO_CODE: "without a code",
    ABNORMAL_CLOSE: "without a closing frame",
    1009: "1009 (message too big)",
}


def class_of_frames_to_server(trace: Trace) -> type[Sent] | type[Received]:
    """Return the class of the events that hold frames to Motion Server in this trace: Received if the kit
    plays the server, Sent if the kit plays the client.

    The configuration, a session's first frame, shows which part the kit plays. Without one, return Sent."""
    classes = [
        type(event.content)
        for event in trace.on_lane(Lane.UPSTREAM)
        if isinstance(event.content, Sent | Received) and isinstance(event.content.value, ConfigureSession)
    ]
    return Received if classes and Sent not in classes else Sent


def is_kit_client_of_server(trace: Trace) -> bool:
    """Return whether the kit is the client in this trace, and a Motion Server is judged. If a relay is
    judged, or a proxy records, the kit stands at the server's place."""
    return trace.header.subject != "relay" and class_of_frames_to_server(trace) is Sent


def find_close_by_server(trace: Trace, connection: str, before_seq: int) -> int | None:
    """Return the code with which Motion Server closed this connection before event number `before_seq`; None
    if it did not."""
    # Unless the kit is the client, the kit itself stands at the server's place.
    by_kit = not is_kit_client_of_server(trace)
    codes = (
        event.content.code
        for event in trace.on_lane(Lane.UPSTREAM)
        if event.connection == connection
        and event.seq < before_seq
        and isinstance(event.content, Closed)
        and event.content.by_kit == by_kit
    )
    return next(codes, None)


def describe_close_by_server(trace: Trace, connection: str, before_seq: int) -> str:
    """Return in words that Motion Server closed this connection before event number `before_seq`, with the
    close code; "" if it did not. The text begins with a comma: rules on servers add it to what they found."""
    code = find_close_by_server(trace, connection, before_seq)
    if code is None:
        return ""
    return f", and the server closed the connection: {_CLOSES_IN_WORDS.get(code, code)}"
