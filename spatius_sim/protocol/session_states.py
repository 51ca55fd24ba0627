"""The states of one connection to Motion Server, as a table.

    AWAITING_CONFIGURE --configure--> AWAITING_CONFIRM --confirm--> OPEN --close--> CLOSED
            |                                |                       | audio, interrupt, motion, error
            +-------------error--------------+-----> REFUSED         | stay OPEN

A close leads to CLOSED from all other states. If a pair is not in the table, the side that caused the event
breaks the protocol. Sources: the handshake and who may send what are protocol.md section 2, "The
life of a connection" (sdk-py); that an error at run time leaves the session open was tried with sdk-py.
"""

from enum import Enum

from spatius_sim.protocol.errors import LocalProtocolError, RemoteProtocolError


class SessionState(Enum):
    """What a connection waits for, or how it ended; the values are words for messages."""

    AWAITING_CONFIGURE = "awaiting ClientConfigureSession"
    AWAITING_CONFIRM = "awaiting ServerConfirmSession"
    OPEN = "open"
    REFUSED = "refused at the handshake"
    CLOSED = "closed"


class SessionEvent(Enum):
    """What can happen on a connection; the values are words for messages."""

    CONFIGURE = "ClientConfigureSession"
    CONFIRM = "ServerConfirmSession"
    AUDIO = "ClientAudioInput"
    INTERRUPT = "ClientInterrupt"
    MOTION = "ServerResponseAnimation"
    ERROR = "ServerError"
    CLOSE = "a close"


CAUSED_BY_SERVER = frozenset({SessionEvent.CONFIRM, SessionEvent.MOTION, SessionEvent.ERROR})

SESSION_TABLE: dict[tuple[SessionState, SessionEvent], SessionState] = {
    (SessionState.AWAITING_CONFIGURE, SessionEvent.CONFIGURE): SessionState.AWAITING_CONFIRM,
    (SessionState.AWAITING_CONFIGURE, SessionEvent.ERROR): SessionState.REFUSED,
    (SessionState.AWAITING_CONFIGURE, SessionEvent.CLOSE): SessionState.CLOSED,
    (SessionState.AWAITING_CONFIRM, SessionEvent.CONFIRM): SessionState.OPEN,
    (SessionState.AWAITING_CONFIRM, SessionEvent.ERROR): SessionState.REFUSED,
    (SessionState.AWAITING_CONFIRM, SessionEvent.CLOSE): SessionState.CLOSED,
    (SessionState.OPEN, SessionEvent.AUDIO): SessionState.OPEN,
    (SessionState.OPEN, SessionEvent.INTERRUPT): SessionState.OPEN,
    (SessionState.OPEN, SessionEvent.MOTION): SessionState.OPEN,
    (SessionState.OPEN, SessionEvent.ERROR): SessionState.OPEN,
    (SessionState.OPEN, SessionEvent.CLOSE): SessionState.CLOSED,
    (SessionState.REFUSED, SessionEvent.CLOSE): SessionState.CLOSED,
}


def next_session_state(state: SessionState, event: SessionEvent, *, we_are_server: bool) -> SessionState:
    """Return the state of a session after `event`. `we_are_server` says whether our side is the server.

    If the table does not allow the event in this state, raises LocalProtocolError if our side caused the
    event, and RemoteProtocolError if the peer caused it. A close always counts as caused by the peer."""
    next_state = SESSION_TABLE.get((state, event))
    if next_state is not None:
        return next_state
    caused_by_us = (event in CAUSED_BY_SERVER) == we_are_server and event is not SessionEvent.CLOSE
    error_class = LocalProtocolError if caused_by_us else RemoteProtocolError
    raise error_class(f"{event.value} is not allowed while the session is {state.value}")
