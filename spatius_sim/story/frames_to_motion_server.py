"""Says which frames went up to Motion Server: the kit sent them as its client, or saw them as the server."""

from spatius_sim.protocol.messages import ConfigureSession
from spatius_sim.trace.events import Lane, Received, Sent, Trace


def upward_kind(trace: Trace) -> type[Sent] | type[Received]:
    """Return the kind of event that an upstream frame towards Motion Server is in this trace. A
    configuration shows it; without one, the kit is the client."""
    kinds = [
        type(event.what)
        for event in trace.on_lane(Lane.UPSTREAM)
        if isinstance(event.what, Sent | Received) and isinstance(event.what.value, ConfigureSession)
    ]
    return Received if kinds and Sent not in kinds else Sent
