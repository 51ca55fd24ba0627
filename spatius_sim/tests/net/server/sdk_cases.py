"""What our Motion Server does to a Server SDK, and how the Python SDK tells it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Fault,
    FaultAction,
    Moment,
    OtherConnectionId,
    Refuse,
    Reset,
    Scenario,
    SendError,
    SendGarbage,
    Stall,
    Text,
    When,
    WrongType,
)

TOKEN, UPGRADE, CONFIGURE = When(Moment.TOKEN), When(Moment.UPGRADE), When(Moment.CONFIGURE)
AUDIO = When(Moment.AUDIO, seconds=1.0)
RESPONSE = When(Moment.RESPONSE, number=1)

AT_TOKEN, AT_UPGRADE = "session_token", "websocket_connect"
AT_HANDSHAKE, AT_RUN_TIME = "websocket_handshake", "websocket_runtime"

LIVEKIT = {"url": "wss://livekit.example", "room_name": "a-room", "api_token": "no-jwt"}


class Case(NamedTuple):
    """How the SDK tells it, and what provokes it: a fault, or what the job itself asks for."""

    code: str
    phase: str
    when: When | None = None
    what: FaultAction | None = None
    status: int | None = None
    server: str | None = None
    close: int | None = None
    job: Mapping[str, Any] = MappingProxyType({})

    @property
    def scenario(self) -> Scenario:
        """The fault as a scenario; none where the job itself is what provokes."""
        return Scenario("case", "case", (Fault(self.when, (self.what,)),) if self.when and self.what else ())


CASES = {
    "token: expiry in the past": Case(
        "invalidRequest",
        AT_TOKEN,
        status=400,
        server="INVALID_ARGUMENT",
        job={"expire_in": -60},
    ),
    "token: expiry beyond a day": Case(
        "invalidRequest", AT_TOKEN, status=400, server="INVALID_ARGUMENT", job={"expire_in": 90_000}
    ),
    "token: 201": Case("unknown", AT_TOKEN, TOKEN, Refuse(201, body="{}"), 201),
    "token: 200 with errors": Case(
        "unknown", AT_TOKEN, TOKEN, Refuse(200, body='{"errors":[{"title":"no"}]}'), 200
    ),
    "token: 200 without a token": Case("protocolError", AT_TOKEN, TOKEN, Refuse(200, body="{}")),
    "token: 500": Case("serverError", AT_TOKEN, TOKEN, Refuse(500), 500),
    "token: reset": Case("connectionFailed", AT_TOKEN, TOKEN, Reset()),
    "upgrade: 401": Case("sessionTokenExpired", AT_UPGRADE, UPGRADE, Refuse(401), 401),
    "upgrade: 400": Case("sessionTokenInvalid", AT_UPGRADE, UPGRADE, Refuse(400), 400),
    "upgrade: bad token text": Case(
        "sessionTokenInvalid", AT_UPGRADE, UPGRADE, Refuse(400, "Invalid session token"), 400
    ),
    "upgrade: unknown app": Case("appIDUnrecognized", AT_UPGRADE, status=404, job={"app_id": "unknown-app"}),
    "upgrade: mismatched app": Case("appIDMismatch", AT_UPGRADE, status=400, job={"app_id": "mismatched-1"}),
    "upgrade: missing avatar": Case("avatarNotFound", AT_UPGRADE, status=404, job={"avatar_id": "missing-1"}),
    "upgrade: broke avatar": Case("creditsExhausted", AT_UPGRADE, status=402, job={"avatar_id": "broke-1"}),
    "upgrade: unpaid avatar": Case("billingRequired", AT_UPGRADE, status=402, job={"avatar_id": "unpaid-1"}),
    "upgrade: no credits left": Case(
        "creditsExhausted", AT_UPGRADE, UPGRADE, Refuse(402, "session denied: credits exhausted"), 402
    ),
    "upgrade: 403": Case("invalidRequest", AT_UPGRADE, UPGRADE, Refuse(403, "no"), 403),
    "upgrade: 429": Case("invalidRequest", AT_UPGRADE, UPGRADE, Refuse(429, "slow down"), 429),
    "upgrade: 503": Case("serverError", AT_UPGRADE, UPGRADE, Refuse(503, "later"), 503),
    "upgrade: 200": Case("unknown", AT_UPGRADE, UPGRADE, Refuse(200), 200),
    "upgrade: 204": Case("unknown", AT_UPGRADE, UPGRADE, Refuse(204), 204),
    "upgrade: 304": Case("unknown", AT_UPGRADE, UPGRADE, Refuse(304), 304),
    "upgrade: reset": Case("connectionFailed", AT_UPGRADE, UPGRADE, Reset()),
    "upgrade: silent": Case("connectionFailed", AT_UPGRADE, UPGRADE, Stall()),
    "handshake: silent": Case("connectionFailed", AT_HANDSHAKE, CONFIGURE, Stall()),
    "handshake: text": Case("protocolError", AT_HANDSHAKE, CONFIGURE, Text("hello")),
    "handshake: garbage": Case("protocolError", AT_HANDSHAKE, CONFIGURE, SendGarbage()),
    "handshake: empty id": Case("protocolError", AT_HANDSHAKE, CONFIGURE, OtherConnectionId("")),
    "handshake: wrong type": Case("protocolError", AT_HANDSHAKE, CONFIGURE, WrongType()),
    "handshake: unsupported rate": Case(
        "unsupportedSampleRate", AT_HANDSHAKE, server="0", job={"options": {"sample_rate": 11025}}
    ),
    "handshake: a token that is not a JWT": Case(
        "invalidEgressConfig", AT_HANDSHAKE, server="16", job={"livekit": LIVEKIT}
    ),
    "handshake: no LiveKit credentials": Case(
        "invalidEgressConfig", AT_HANDSHAKE, server="3", job={"livekit": LIVEKIT | {"api_token": ""}}
    ),
    "handshake: egress unavailable": Case(
        "egressUnavailable",
        AT_HANDSHAKE,
        CONFIGURE,
        SendError(14, "failed to create egress connection"),
        None,
        "14",
    ),
    "handshake: invalid": Case("invalidRequest", AT_HANDSHAKE, CONFIGURE, SendError(3, "no"), None, "3"),
    "handshake: 1000": Case("connectionClosed", AT_HANDSHAKE, CONFIGURE, CloseWith(1000), close=1000),
    "run time: credits exhausted": Case(
        "creditsExhausted", AT_RUN_TIME, server="4001", job={"avatar_id": "drained-1"}
    ),
    "run time: time limit": Case(
        "sessionDurationExceeded", AT_RUN_TIME, server="4002", job={"avatar_id": "timed-1"}
    ),
    "run time: idle": Case(
        "idleTimeout",
        AT_RUN_TIME,
        When(Moment.SILENCE, seconds=0.2),
        SendError(0, "no audio input for 0.2s"),
        None,
        "0",
    ),
    "run time: upstream": Case(
        "upstreamError", AT_RUN_TIME, RESPONSE, SendError(0, "driven server request failed"), None, "0"
    ),
    "run time: 13": Case("serverError", AT_RUN_TIME, AUDIO, SendError(13, "internal"), None, "13"),
    "run time: garbage": Case("protocolError", AT_RUN_TIME, RESPONSE, SendGarbage()),
    "run time: 1011": Case("connectionClosed", AT_RUN_TIME, RESPONSE, CloseWith(1011, "bye"), close=1011),
    "run time: 4010": Case("connectionClosed", AT_RUN_TIME, RESPONSE, CloseWith(4010), close=4010),
    "run time: reset": Case("connectionClosed", AT_RUN_TIME, RESPONSE, Reset()),
    "run time: 1000": Case("closed without an error", "", RESPONSE, CloseWith(1000)),
    "run time: no code": Case("closed without an error", "", RESPONSE, CloseWith(0)),
}
