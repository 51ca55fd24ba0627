"""Ids that ask for a fault: the most common faults, without a scenario file.

The word before the first hyphen of an avatar id, an app id, an API key or a session key decides:
`broke-alice` is an avatar whose account has no credits. The words are our own: they exist in this simulator
only.
"""

from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Delay,
    EmptyMotion,
    Fault,
    Moment,
    Refuse,
    Reset,
    SendError,
    SendGarbage,
    Stall,
    When,
)

APP_ID, AVATAR_ID = "sim-app", "sim-avatar"
"""The ids that a relay gets if it has none of its own. They ask for no fault."""

TOO_MANY_SESSIONS = "concurrent session limit reached"
TIME_LIMIT_REACHED = "session time limit reached"


def session_ends(code: int, message: str) -> tuple[SendError, CloseWith]:
    """Return the two actions that end a session for good: a ServerError, and a close with the same code
    (docs:spatialreal's contract; that the service does so in this order is ASSUMED)."""
    return SendError(code, message), CloseWith(code, message)


AVATARS: dict[str, tuple[str, Fault]] = {
    "broke": (
        "no credits at connect",
        Fault(When(Moment.UPGRADE), (Refuse(402, "session denied: credits exhausted"),)),
    ),
    "unpaid": (
        "billing is required at connect",
        Fault(When(Moment.UPGRADE), (Refuse(402, "session denied: billing required"),)),
    ),
    "crowded": (
        "too many sessions at once: ServerError 4003 in place of the confirmation",
        Fault(When(Moment.CONFIGURE), (SendError(4003, TOO_MANY_SESSIONS),)),
    ),
    "drained": (
        "credits run out after 2 s of audio",
        Fault(When(Moment.AUDIO, seconds=2.0), session_ends(4001, "Credits exhausted")),
    ),
    "timed": (
        "the session time limit comes after 2 s of audio",
        Fault(When(Moment.AUDIO, seconds=2.0), session_ends(4002, TIME_LIMIT_REACHED)),
    ),
    "outdated": (
        "the session token counts no more after 2 s of audio",
        Fault(When(Moment.AUDIO, seconds=2.0), session_ends(4010, "session token expired")),
    ),
    "overloaded": (
        "the motion service is not to be had after 2 s of audio; a retry is worth it",
        Fault(When(Moment.AUDIO, seconds=2.0), session_ends(4503, "upstream unavailable")),
    ),
    "upstream": (
        "the motion service fails at the first response",
        Fault(When(Moment.RESPONSE, number=1), (SendError(0, "driven server request failed"),)),
    ),
    "crashing": (
        "TCP reset at the second response",
        Fault(When(Moment.RESPONSE, number=2), (Reset(),)),
    ),
    "closing": (
        "an ordinary close (1000) at the second response, without an end",
        Fault(When(Moment.RESPONSE, number=2), (CloseWith(1000, "bye"),)),
    ),
    "silent": ("no motion ever comes", Fault(When(Moment.RESPONSE, number=1), (Stall(),))),
    "slow": ("every response comes a second late", Fault(When(Moment.RESPONSE), (Delay(1.0),))),
    "empty": ("every response is without keyframes", Fault(When(Moment.RESPONSE), (EmptyMotion(),))),
    "garbled": ("every response is not protobuf", Fault(When(Moment.RESPONSE), (SendGarbage(),))),
    "failing": ("the upgrade fails with HTTP 500", Fault(When(Moment.UPGRADE), (Refuse(500, "internal"),))),
}
"""For each word of avatar ids: what happens, in words, and the fault."""

APPS: dict[str, tuple[str, Fault]] = {
    "unknown": (
        "the app is not known",
        Fault(When(Moment.UPGRADE), (Refuse(404, "app id unrecognized"),)),
    ),
    "mismatched": (
        "the token belongs to another app",
        Fault(When(Moment.UPGRADE), (Refuse(400, "app id mismatch"),)),
    ),
}
"""For each word of app ids: what happens, in words, and the fault."""

MISSING_AVATAR = "missing"
"""An avatar with this text anywhere in its id does not exist."""

REVOKED_KEY = "revoked"
"""The word of an API key that is refused with 401."""

EXPIRED_TOKEN = "expired"
"""The word of a session key that counts as expired, so that nobody needs to wait until a key expires."""

UNAVAILABLE_ROOM = "unavailable"
"""The word of a room or channel that cannot be joined: ServerError 14."""

UNAUTHORIZED_ROOM = "unauthorized"
"""The word of a room or channel that lets nobody in: ServerError 16."""


def read_id_prefix(identifier: str) -> str:
    """Return the word before the first hyphen of an id."""
    return identifier.partition("-")[0]


def faults_of(app_id: str, avatar_id: str) -> list[Fault]:
    """Return the faults that this app id and this avatar id ask for."""
    entries = (APPS.get(read_id_prefix(app_id)), AVATARS.get(read_id_prefix(avatar_id)))
    return [fault for _, fault in filter(None, entries)]


def list_fault_ids() -> list[tuple[str, str]]:
    """Return all ids that ask for a fault, for a help text. Each entry is a pattern, such as `avatar
    broke-...`, and what then happens, in words. The ids are those of avatars, apps, API keys, session keys
    and rooms."""
    return [
        ("avatar missing-...", "the avatar does not exist: 404"),
        *((f"avatar {word}-...", meaning) for word, (meaning, _) in AVATARS.items()),
        *((f"app {word}-...", meaning) for word, (meaning, _) in APPS.items()),
        (f"API key {REVOKED_KEY}-...", "the key is refused: 401"),
        (f"session key {EXPIRED_TOKEN}-...", "the token has expired: 401"),
        (f"room {UNAVAILABLE_ROOM}-...", "the room cannot be joined: ServerError 14"),
        (f"room {UNAUTHORIZED_ROOM}-...", "the room lets nobody in: ServerError 16"),
    ]
