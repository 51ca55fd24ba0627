"""E rules on joining and leaving a room."""

import re
from collections.abc import Iterator

from spatius_sim.protocol.messages import ServerError
from spatius_sim.rules.excuse_room_losses import excuse_if_disturbed
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Level, Outcome, Provenance, rule
from spatius_sim.story.room_story import RoomSession
from spatius_sim.trace.events import Closed, Joined, Received, Sent
from spatius_sim.trace.room_events import TrackKind
from spatius_sim.wires.optional_features import ROOM_CHOICE

JOIN_SECONDS = 10.0
KEY_FRAME_SECONDS = 2.0
LEAVE_GRACE_SECONDS = 2.0
"""Leaving and closing go over two connections, so either may be seen first (ASSUMED)."""

_REFUSALS = (16, 14, 3)
_FOR_THE_EGRESS = "livekit_agent_identity"
"""The egress reads this attribute itself; the plugin's token gives no right to show it (tried)."""

_CREDENTIAL = re.compile(r"eyJ[\w-]{6,}|\*{6,}")
"""A token, or the stars that stand for a secret in a trace."""


@rule(
    "E-REFUSED",
    Level.MUST,
    "an egress whose room cannot be joined MUST be answered with a ServerError 16, 14 or 3 at the handshake, "
    "in whose text no credential stands",
    "plugin, sdk-py",
    Provenance.SAFETY,
    needs=(ROOM_CHOICE,),
    advice=Advice(
        "an agent waits for ever for an avatar that cannot come, or a token is read in a log",
        "the room is joined after the session was confirmed, or the error text of LiveKit is passed on",
        "join before you confirm; answer 16, 14 or 3 in words of your own, never in those of LiveKit",
    ),
)
def check_refused_rooms(rooms: list[RoomSession]) -> Iterator[Kept | Broken]:
    """Check each session whose room refuses the publisher, as the kit arranged. Motion Server must answer
    with an error that has a known code and contains no credential. A session that is confirmed, or never
    answered, may only show that the server joins no room, or answers nobody, at all: E-JOIN judges that."""
    expected = "a ServerError 16, 14 or 3 without any credential"
    for room in rooms:
        if not room.refuses:
            continue
        if room.answer is None:
            if room.answer_waited:
                yield Broken(expected, "no answer", (room.configured_at.seq,), ("E-JOIN",))
            continue
        events = (room.configured_at.seq, room.answer.seq)
        answer = room.answer.content.value if isinstance(room.answer.content, Sent | Received) else None
        if not isinstance(answer, ServerError):
            yield Broken(expected, "a confirmed session", events, ("E-JOIN",))
        elif answer.code not in _REFUSALS:
            yield Broken(expected, f"a ServerError {answer.code}", events)
        elif _CREDENTIAL.search(answer.message):
            yield Broken(expected, "a text with a credential in it", events)
        else:
            yield Kept()


@rule(
    "E-JOIN",
    Level.MUST,
    "with an egress configured, the configuration MUST be answered, and publisher_id join the room with the "
    "extra attributes within 10 s",
    "plugin, sdk-py",
    Provenance.OBSERVED,
    advice=Advice(
        "nobody is in the room, and the agent waits until it gives up",
        "somebody else than publisher_id joins, nobody confirms it, or the extra attributes are left out",
        "join as publisher_id with the token of the configuration, set every extra attribute, and confirm",
    ),
)
def check_joining(rooms: list[RoomSession]) -> Iterator[Kept | Broken]:
    """Check each session with an egress (Motion Server publishes into a LiveKit room). Motion Server must
    answer its configuration. If the session is confirmed, the publisher must join the room in time, under its
    identity and with its attributes."""
    for room in rooms:
        livekit = room.configured.livekit_egress
        if livekit is None or room.refuses:
            continue
        if room.answer is None and room.answer_waited:
            yield Broken("an answer to the configuration", "nothing", (room.configured_at.seq,))
        if not room.confirmed or not room.join_waited:
            continue
        expected = f"{livekit.publisher_id!r} joins within {JOIN_SECONDS:g} s"
        if room.joined is None or not isinstance(room.joined.content, Joined):
            yield Broken(expected, "nobody joined", (room.configured_at.seq,))
            continue
        events = (room.configured_at.seq, room.joined.seq)
        seconds = (room.joined.at_ns - room.configured_at.at_ns) / 1e9
        attributes = set(room.joined.content.attributes.splitlines())
        missing_keys = [
            key
            for key, value in livekit.extra_attributes
            if key != _FOR_THE_EGRESS and f"{key}={value}" not in attributes
        ]
        if room.joined.content.publisher != livekit.publisher_id:
            yield Broken(expected, f"{room.joined.content.publisher!r} joined", events)
        elif seconds > JOIN_SECONDS:
            yield Broken(expected, f"it joined after {seconds:.1f} s", events)
        elif missing_keys:
            yield Broken("the extra attributes", f"without {', '.join(missing_keys)}", events)
        else:
            yield Kept()


@rule(
    "E-LEAVE",
    Level.MUST,
    "the publisher MUST leave when the session ends, and not before",
    "plugin",
    Provenance.OBSERVED,
    presumes=("E-JOIN",),
    advice=Advice(
        "a frozen avatar stays in the room, or it goes away in the middle of a sentence",
        "the end of the session does not reach the publisher, or an error in the room ends it early",
        "leave the room when the session is closed, and only then",
    ),
)
def check_leaving(rooms: list[RoomSession]) -> Iterator[Kept | Broken]:
    """Check each publisher in a room: it must stay as long as its session lasts, and then leave before the
    kit stops waiting for that (`leave_waited`)."""
    for room in _list_sessions_with_publisher(rooms):
        closed = room.closed
        grace_ns = int(LEAVE_GRACE_SECONDS * 1e9)
        if room.left is not None and (closed is None or room.left.at_ns < closed.at_ns - grace_ns):
            yield Broken("the publisher stays while the session lasts", "it left", (room.left.seq,))
        elif closed is not None and isinstance(closed.content, Closed) and room.leave_waited:
            if room.left is None:
                yield Broken("the publisher leaves when the session ends", "it stayed", (closed.seq,))
            else:
                yield Kept()


@rule(
    "E-TRACKS",
    Level.MUST,
    "the publisher MUST have exactly one video track (camera) and one audio track (microphone)",
    "plugin",
    Provenance.OBSERVED,
    presumes=("E-JOIN",),
    advice=Advice(
        "a black picture, no sound, or a client that takes the wrong track",
        "tracks are published twice, or with another source",
        "publish one video track as camera and one audio track as microphone, once",
    ),
)
def check_tracks(rooms: list[RoomSession]) -> Iterator[Kept | Broken]:
    """Check each publisher that has joined a room, and that had something to speak or has published a track:
    it must have published exactly one camera track and one microphone track."""
    for room in _list_sessions_with_publisher(rooms):
        if not room.speeches and not room.tracks:
            continue
        kinds = sorted(track.kind for _, track in room.tracks)
        if kinds == [TrackKind.CAMERA, TrackKind.MICROPHONE]:
            yield Kept()
        else:
            events = tuple(seq for seq, _ in room.tracks) or (room.configured_at.seq,)
            yield Broken("one camera and one microphone", ", ".join(kinds) or "no track", events)


@rule(
    "E-LATE",
    Level.SHOULD,
    "a viewer that joins late SHOULD get a key frame within 2 s",
    "our reading: without a key frame he sees nothing",
    Provenance.ASSUMED,
    presumes=("E-LEAVE", "E-TRACKS"),
    unit="s",
    advice=Advice(
        "who comes later sees nothing until the next key frame",
        "requests for key frames (PLI) are not answered",
        "send a key frame at once if the room asks for one",
    ),
)
def check_late_viewers(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check each viewer who joins a room late: a key frame of the publisher's picture must come within the
    limit. Yield Unsure if frames may have been lost on our side since the viewer joined."""
    for room in _list_sessions_with_publisher(rooms):
        for joined, key_frame in room.viewers.values():
            if key_frame is None:
                none = Broken("a key frame within 2 s", "none came", (joined.seq,))
                yield excuse_if_disturbed(room, joined.seq, none)
                continue
            seconds = (key_frame.at_ns - joined.at_ns) / 1e9
            if seconds > KEY_FRAME_SECONDS:
                actual = f"it came after {seconds:.1f} s"
                late = Broken("a key frame within 2 s", actual, (joined.seq, key_frame.seq))
                yield excuse_if_disturbed(room, joined.seq, late)
            else:
                yield Kept(seconds)


def _list_sessions_with_publisher(rooms: list[RoomSession]) -> list[RoomSession]:
    """Return the sessions whose publisher is in its room."""
    return [room for room in rooms if room.joined is not None]
