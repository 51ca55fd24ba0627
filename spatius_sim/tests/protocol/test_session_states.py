"""Every event in every state of a connection: where it leads, or who is to blame for it."""

from itertools import product

import pytest

from spatius_sim.protocol.errors import LocalProtocolError, RemoteProtocolError
from spatius_sim.protocol.session_states import SessionEvent, SessionState, next_session_state

AWAITING_CONFIGURE = SessionState.AWAITING_CONFIGURE
AWAITING_CONFIRM = SessionState.AWAITING_CONFIRM
OPEN = SessionState.OPEN
REFUSED = SessionState.REFUSED
CLOSED = SessionState.CLOSED

CONFIGURE = SessionEvent.CONFIGURE
CONFIRM = SessionEvent.CONFIRM
AUDIO = SessionEvent.AUDIO
INTERRUPT = SessionEvent.INTERRUPT
MOTION = SessionEvent.MOTION
ERROR = SessionEvent.ERROR
CLOSE = SessionEvent.CLOSE

# protocol.md section 2, "The life of a connection", written down a second time.
ALLOWED = {
    AWAITING_CONFIGURE: {CONFIGURE: AWAITING_CONFIRM, ERROR: REFUSED, CLOSE: CLOSED},
    AWAITING_CONFIRM: {CONFIRM: OPEN, ERROR: REFUSED, CLOSE: CLOSED},
    OPEN: {AUDIO: OPEN, INTERRUPT: OPEN, MOTION: OPEN, ERROR: OPEN, CLOSE: CLOSED},
    REFUSED: {CLOSE: CLOSED},
    CLOSED: {},
}
SENT_BY_CLIENT = (CONFIGURE, AUDIO, INTERRUPT)
SENT_BY_SERVER = (CONFIRM, MOTION, ERROR)

STEPS = [(state, event, after) for state, steps in ALLOWED.items() for event, after in steps.items()]
BREACHES = [pair for pair in product(SessionState, SessionEvent) if pair[1] not in ALLOWED[pair[0]]]

as_server_and_as_client = pytest.mark.parametrize("we_are_server", [True, False], ids=["server", "client"])


def breaches_by(events: tuple[SessionEvent, ...]) -> list[tuple[SessionState, SessionEvent]]:
    return [(state, event) for state, event in BREACHES if event in events]


@as_server_and_as_client
@pytest.mark.parametrize(("state", "event", "after"), STEPS)
def test_an_allowed_event_leads_on(
    state: SessionState, event: SessionEvent, after: SessionState, we_are_server: bool
) -> None:
    assert next_session_state(state, event, we_are_server=we_are_server) is after


@pytest.mark.parametrize(("state", "event"), breaches_by(SENT_BY_CLIENT))
def test_a_server_blames_the_client_for_its_breach(state: SessionState, event: SessionEvent) -> None:
    with pytest.raises(RemoteProtocolError):
        next_session_state(state, event, we_are_server=True)


@pytest.mark.parametrize(("state", "event"), breaches_by(SENT_BY_CLIENT))
def test_a_client_is_kept_from_its_own_breach(state: SessionState, event: SessionEvent) -> None:
    with pytest.raises(LocalProtocolError):
        next_session_state(state, event, we_are_server=False)


@pytest.mark.parametrize(("state", "event"), breaches_by(SENT_BY_SERVER))
def test_a_client_blames_the_server_for_its_breach(state: SessionState, event: SessionEvent) -> None:
    with pytest.raises(RemoteProtocolError):
        next_session_state(state, event, we_are_server=False)


@pytest.mark.parametrize(("state", "event"), breaches_by(SENT_BY_SERVER))
def test_a_server_is_kept_from_its_own_breach(state: SessionState, event: SessionEvent) -> None:
    with pytest.raises(LocalProtocolError):
        next_session_state(state, event, we_are_server=True)


@as_server_and_as_client
def test_only_a_closed_session_cannot_be_closed_and_the_peer_is_blamed(we_are_server: bool) -> None:
    assert breaches_by((CLOSE,)) == [(CLOSED, CLOSE)]
    with pytest.raises(RemoteProtocolError):
        next_session_state(CLOSED, CLOSE, we_are_server=we_are_server)


def test_a_breach_says_what_happened_and_when() -> None:
    told = "^ClientAudioInput is not allowed while the session is awaiting ClientConfigureSession$"
    with pytest.raises(RemoteProtocolError, match=told):
        next_session_state(AWAITING_CONFIGURE, AUDIO, we_are_server=True)


@pytest.mark.parametrize(
    ("dialogue", "end"),
    [
        pytest.param([CONFIGURE, CONFIRM], OPEN, id="a handshake opens the session"),
        pytest.param([CONFIGURE, ERROR], REFUSED, id="an error instead of the confirmation refuses it"),
        pytest.param([ERROR, CLOSE], CLOSED, id="an error may answer a wrong first message"),
        pytest.param(
            [CONFIGURE, CONFIRM, AUDIO, MOTION, AUDIO, MOTION], OPEN, id="motion comes between audio"
        ),
        pytest.param([CONFIGURE, CONFIRM, AUDIO, ERROR, AUDIO], OPEN, id="an error at run time ends nothing"),
        pytest.param([CONFIGURE, CONFIRM, AUDIO, INTERRUPT, AUDIO], OPEN, id="audio follows an interrupt"),
        pytest.param([CONFIGURE, CONFIRM, AUDIO, CLOSE], CLOSED, id="a close may come in mid-request"),
        pytest.param([CONFIGURE, CLOSE], CLOSED, id="a close may come in the handshake"),
    ],
)
def test_a_dialogue_ends_where_the_protocol_says(dialogue: list[SessionEvent], end: SessionState) -> None:
    state = AWAITING_CONFIGURE
    for event in dialogue:
        state = next_session_state(state, event, we_are_server=True)
    assert state is end
