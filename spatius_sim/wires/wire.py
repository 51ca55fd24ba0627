"""What every wire can do, and the published wires by name."""

from typing import Protocol

from spatius_sim.wires.events import ClientAction, Frame, RelayEvent


class Wire(Protocol):
    """One wire between a relay and its clients. Reading never raises: a frame that cannot be understood
    becomes NotUnderstood or Unclear. Writing returns the frames in order, and none if the wire has no message
    for the event or action."""

    @property
    def name(self) -> str:
        """The name that `--wire` takes."""

    @property
    def lacks(self) -> frozenset[str]:
        """The features (see `features`) that the wire lacks."""

    @property
    def greets(self) -> bool:
        """Whether a relay on this wire says Ready before it takes audio."""

    @property
    def speech_pause(self) -> float:
        """After how many seconds of silence a relay on this wire takes a client's speech for ended; 0 if the
        client says so."""

    @property
    def http_paths(self) -> tuple[str, ...]:
        """Paths at which a relay on this wire answers GET requests of its clients."""

    @property
    def declaration(self) -> str:
        """The YAML text that describes the wire; "" for a built-in wire."""

    def read_relay_frame(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """Return the events that a frame from the relay carries, as the client understands them: one at
        least."""

    def write_relay_event(self, event: RelayEvent) -> tuple[Frame, ...]:
        """Return the frames by which a relay says `event`."""

    def read_client_frame(self, frame: Frame) -> ClientAction:
        """Return what a frame from the client asks for, as the relay understands it."""

    def write_client_action(self, action: ClientAction) -> tuple[Frame, ...]:
        """Return the frames by which a client asks for `action`."""
