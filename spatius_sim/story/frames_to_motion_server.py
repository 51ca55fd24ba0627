"""Says which frames went up to Motion Server: the kit sent them as its client, or saw them as the server."""

from spatius_sim.protocol.messages import ConfigureSession
from spatius_sim.trace.events import Lane, Received, Sent, Trace


def kind_of_frames_to_server(trace: Trace) -> type[Sent] | type[Received]:
    """Return the class of event that holds a frame to Motion Server in this trace: Received if the kit is the
    server, Sent if the kit is the client. The first frame of a session, its configuration, shows which of the
    two the kit is; in a trace without this frame, the kit is the client."""
    kinds = [
        type(event.content)
        for event in trace.on_lane(Lane.UPSTREAM)
        if isinstance(event.content, Sent | Received) and isinstance(event.content.value, ConfigureSession)
    ]
    return Received if kinds and Sent not in kinds else Sent
