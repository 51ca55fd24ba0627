"""Says which frames went up to Motion Server: the kit sent them as its client, or saw them as the server."""

from spatius_sim.protocol.messages import ConfigureSession
from spatius_sim.trace.events import Lane, Received, Sent, Trace


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
