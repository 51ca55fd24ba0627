"""Joins the events around a room into sessions: what was spoken, and what was seen, heard and told of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, keyframe_count
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    MotionResponse,
    ServerError,
)
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket, read_packet
from spatius_sim.story.frames_and_closes_at_server import class_of_frames_to_server
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Joined,
    KitStalled,
    Lane,
    Provocation,
    Provoked,
    Published,
    Received,
    Sent,
    Trace,
    WaitEnded,
)
from spatius_sim.trace.room_events import (
    KeyFrameSeen,
    LeftRoom,
    MediaLost,
    PacketSeen,
    PlaybackTold,
    SoundHeard,
    TrackSeen,
    ViewerJoined,
)

LOUD = 500.0
"""The RMS of the samples (-32,768 to 32,767) from which a window of sound is loud: what Opus leaves of
silence is quieter."""

WINDOW_SECONDS = 0.04
MAX_STALL_SECONDS = 0.2
"""If the kit itself was late by more, frames and sound may be lost on its side."""

_STARTED, _FINISHED = "lk.playback_started", "lk.playback_finished"
_NO_END = 2**62
"""The end of the time of a request after which no other comes: more than any event has as its number."""


@dataclass(slots=True)
class SeenPacket:
    """A packet at event `seq`; `packet` is None if it could not be read, `fault` says why."""

    seq: int
    at_ns: int
    packet: RoomPacket | None
    fault: str = ""

    @property
    def message(self) -> bytes:
        """The protobuf in the packet, b"" if it could not be read."""
        return self.packet.message if self.packet is not None else b""


@dataclass(slots=True)
class PlaybackReport:
    """What the agent heard at event `seq`: that a playback began (`position` is None), or that a playback is
    over at `position` (seconds). `fault` says why the report could not be read."""

    seq: int
    at_ns: int
    position: float | None = None
    interrupted: bool = False
    fault: str = ""
    on_socket: bool = False
    """Whether the report was a response without keyframes, which says neither position nor interruption."""


@dataclass(slots=True)
class RoomSpeech:
    """One request: its speech, and the motion that Motion Server made of it, if the kit could see it."""

    req_id: str
    first_seq: int
    sample_rate: int
    pcm: bytearray = field(default_factory=bytearray)
    interrupted: Event | None = None
    waited_seq: int | None = None
    motion: list[MotionResponse] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The length of the speech."""
        return len(self.pcm) / BYTES_PER_SAMPLE / self.sample_rate

    @property
    def keyframes(self) -> int:
        """How many keyframes belong to the speech."""
        return keyframe_count(len(self.pcm) // BYTES_PER_SAMPLE, self.sample_rate)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something at event `seq` by which frames or sound may be lost on our side, in words."""

    seq: int
    reason: str


@dataclass(slots=True)
class RoomSession:
    """One session with an egress."""

    connection: str
    configured: ConfigureSession
    configured_at: Event
    refuses: bool = False
    """Whether its room cannot be joined, on purpose."""
    answer: Event | None = None
    answer_waited: bool = False
    joined: Event | None = None
    join_waited: bool = False
    tracks: list[tuple[int, TrackSeen]] = field(default_factory=list)
    packets: list[SeenPacket] = field(default_factory=list)
    sounds: list[tuple[int, int, SoundHeard]] = field(default_factory=list)
    playback_reports: list[PlaybackReport] = field(default_factory=list)
    speeches: list[RoomSpeech] = field(default_factory=list)
    closed: Event | None = None
    left: Event | None = None
    leave_waited: bool = False
    viewers: dict[str, tuple[Event, Event | None]] = field(default_factory=dict)
    disturbances: list[Disturbance] = field(default_factory=list)
    stalls: list[Disturbance] = field(default_factory=list)
    """Whenever the kit itself was late, however little. Times are shifted by that, and sound may
    be missed."""

    @property
    def confirmed(self) -> bool:
        """Whether the session was confirmed."""
        return self.answer is not None and isinstance(_value_of(self.answer), ConfirmSession)

    @property
    def complete_speeches(self) -> list[RoomSpeech]:
        """The requests of speech in this session that the agent did not interrupt, and for which the kit
        waited until their playback was over."""
        return [
            speech for speech in self.speeches if speech.interrupted is None and speech.waited_seq is not None
        ]

    def split_into_conversations(self) -> list[list[SeenPacket]]:
        """Divide the packets with keyframes that were seen in this session into conversations, and return one
        list of packets for each. Packets that could not be read are left out.

        A conversation begins with the flag START or with frameSeq 0, unless this repeats the latest frameSeq.
        It also begins after idle time (a packet without frameSeq) if frameSeq does not rise: the START may be
        lost."""
        conversations: list[list[SeenPacket]] = []
        highest_frame_seq = -1
        was_idle = False
        for seen in self.packets:
            if seen.packet is None:
                continue
            frame_seq = seen.packet.frame_seq
            if frame_seq is None:
                was_idle = True
                continue
            is_start = frame_seq == 0 or bool(seen.packet.flags & PacketFlag.START)
            if (
                not conversations
                or (is_start and frame_seq != highest_frame_seq)
                or (was_idle and frame_seq <= highest_frame_seq)
            ):
                conversations.append([])
                highest_frame_seq = -1
            conversations[-1].append(seen)
            highest_frame_seq = max(highest_frame_seq, frame_seq)
            was_idle = False
        return conversations

    def conversation_of(self, speech: RoomSpeech) -> list[SeenPacket]:
        """Return the packets with keyframes of the conversation that shows this speech: it began after the
        first audio of the speech, and before the first audio of the next speech. Return [] if there is
        none."""
        later_starts = [other.first_seq for other in self.speeches if other.first_seq > speech.first_seq]
        next_seq = min(later_starts, default=None)
        for packets in self.split_into_conversations():
            if packets[0].seq > speech.first_seq and (next_seq is None or packets[0].seq < next_seq):
                return packets
        return []

    def playback_reports_of(self, speech: RoomSpeech) -> list[PlaybackReport]:
        """Return what the agent was told about the playback of this speech: the reports between the first
        audio of the speech and the first audio of the next speech."""
        later_starts = [other.first_seq for other in self.speeches if other.first_seq > speech.first_seq]
        next_seq = min(later_starts, default=_NO_END)
        return [report for report in self.playback_reports if speech.first_seq < report.seq < next_seq]

    def sounds_of(self, speech: RoomSpeech) -> list[tuple[int, int, SoundHeard]]:
        """Return the sounds that were heard in the room for this speech: those between the first audio of the
        speech and the first audio of the next speech. Each has its event number, and its time in
        nanoseconds."""
        later_starts = [other.first_seq for other in self.speeches if other.first_seq > speech.first_seq]
        next_seq = min(later_starts, default=_NO_END)
        return [(seq, at_ns, sound) for seq, at_ns, sound in self.sounds if speech.first_seq < seq < next_seq]


def join_rooms(trace: Trace) -> list[RoomSession]:
    """Return the sessions with an egress to a room that a trace holds, in the order of their
    configurations."""
    class_of_frames_up = class_of_frames_to_server(trace)
    sessions: dict[str, RoomSession] = {}
    refusing = {
        event.connection
        for event in trace.on_lane(Lane.KIT)
        if event.content == Provoked(Provocation.ROOM_REFUSES)
    }
    for event in trace.events:
        value = _value_of(event)
        if isinstance(event.content, class_of_frames_up) and isinstance(value, ConfigureSession):
            if value.egress_type != EgressType.UNSPECIFIED:
                refuses = event.connection in refusing
                sessions.setdefault(event.connection, RoomSession(event.connection, value, event, refuses))
            continue
        session = sessions.get(event.connection)
        if session is not None and event.lane is Lane.UPSTREAM:
            _note_message(session, event, value, is_from_agent=isinstance(event.content, class_of_frames_up))
        elif session is not None and event.lane is Lane.EGRESS:
            _note_room(session, event)
        elif session is not None and isinstance(event.content, WaitEnded):
            _note_end_of_wait(session, event, event.content)
        elif isinstance(event.content, KitStalled):
            late = Disturbance(event.seq, f"the kit itself was late by {event.content.seconds:.2g} s")
            for disturbed_session in sessions.values():
                disturbed_session.stalls.append(late)
                if event.content.seconds > MAX_STALL_SECONDS:
                    disturbed_session.disturbances.append(late)
    return list(sessions.values())


def find_loud_windows(pcm: bytes, sample_rate: int) -> list[bool]:
    """Return for each whole window of 40 ms of a sound in a room's story, spoken by the agent or heard by a
    viewer, whether it is loud, so that its RMS is at least LOUD. Rules compare the two. `pcm` is mono s16le.
    What is left over at the end is not looked at."""
    samples_per_window = int(sample_rate * WINDOW_SECONDS)
    levels = np.frombuffer(pcm, "<i2", len(pcm) // BYTES_PER_SAMPLE).astype(np.float64)
    windows = levels[: len(levels) // samples_per_window * samples_per_window].reshape(-1, samples_per_window)
    return [bool(window.dot(window) / samples_per_window >= LOUD**2) for window in windows]


def _note_message(session: RoomSession, event: Event, message: object, *, is_from_agent: bool) -> None:
    """Add to a room's session what this event tells: a message between the agent and Motion Server, or the
    close of their connection. `is_from_agent` says who sent the message.

    The agent sends speech and interrupts. Motion Server answers the configuration. A motion message without
    keyframes is its report that the playback began or, with `end`, is over."""
    match message:
        case AudioInput(req_id, audio) if is_from_agent:
            speech = _find_speech(session, req_id)
            if speech is None:
                speech = RoomSpeech(req_id, event.seq, session.configured.sample_rate)
                session.speeches.append(speech)
            speech.pcm += audio
        case Interrupt(req_id) if is_from_agent:
            speech = _find_speech(session, req_id)
            if speech is not None and speech.interrupted is None:
                speech.interrupted = event
        case ConfirmSession() | ServerError() if not is_from_agent and session.answer is None:
            session.answer = event
        case MotionResponse(end=end, keyframes=keyframes) if not is_from_agent and not len(keyframes):
            speech = _find_speech(session, message.req_id)
            position = speech.seconds if end and speech is not None else None
            session.playback_reports.append(PlaybackReport(event.seq, event.at_ns, position, on_socket=True))
    if isinstance(event.content, Closed):
        session.closed = session.closed or event


def _note_room(session: RoomSession, event: Event) -> None:
    """Note in a session what happened in its room: who joined and left, and which tracks, packets, sounds
    and reports came."""
    match event.content:
        case Joined(attributes=attributes):
            # Our own server and a viewer may both have seen it; only the viewer saw attributes.
            if session.joined is None or attributes:
                session.joined = event
        case TrackSeen():
            session.tracks.append((event.seq, event.content))
        case PacketSeen(_, raw):
            try:
                session.packets.append(SeenPacket(event.seq, event.at_ns, read_packet(raw)))
            except RemoteProtocolError as error:
                session.packets.append(SeenPacket(event.seq, event.at_ns, None, str(error)))
        case SoundHeard():
            session.sounds.append((event.seq, event.at_ns, event.content))
        case PlaybackTold(_, method, payload):
            session.playback_reports += _read_playback_report(event, method, payload)
        case LeftRoom():
            session.left = session.left or event
        case ViewerJoined(viewer):
            session.viewers.setdefault(viewer, (event, None))
        case KeyFrameSeen(viewer) if viewer in session.viewers:
            joined, seen = session.viewers[viewer]
            session.viewers[viewer] = (joined, seen or event)
        case MediaLost(kind, packets):
            reason = f"the network lost {packets} packets of the {kind}'s track"
            session.disturbances.append(Disturbance(event.seq, reason))
        case Published(_, _, MotionResponse() as motion):
            speech = _find_speech(session, motion.req_id)
            if speech is not None:
                speech.motion.append(motion)


def _note_end_of_wait(session: RoomSession, event: Event, wait: WaitEnded) -> None:
    """Note in a room's session that the kit stopped waiting: for the answer to the configuration, for the
    join, for the agent's leaving, or for the end of the latest speech (the end of its turn, or silence after
    an interrupt). Other waits change nothing."""
    match wait.what_for:
        case Awaited.HANDSHAKE:
            session.answer_waited = True
        case Awaited.ROOM:
            session.join_waited = True
        case Awaited.HANG_UP:
            session.leave_waited = True
        case Awaited.TURN if session.speeches:
            session.speeches[-1].waited_seq = event.seq
        case Awaited.SILENCE if session.speeches:
            session.speeches[-1].waited_seq = event.seq


def _read_playback_report(event: Event, method: str, payload: str) -> Iterator[PlaybackReport]:
    """Read a remote call (RPC) in which Motion Server tells the agent that a playback has begun or is over.
    Yield it as a report; yield nothing for any other `method`.

    If the report of the end cannot be read, its `fault` says why."""
    if method == _STARTED:
        yield PlaybackReport(event.seq, event.at_ns)
    elif method == _FINISHED:
        try:
            fields = json.loads(payload)
            position, interrupted = float(fields["playback_position"]), fields["interrupted"]
            if not isinstance(interrupted, bool) or not np.isfinite(position):
                raise ValueError("wrong types")
            yield PlaybackReport(event.seq, event.at_ns, position, interrupted)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            yield PlaybackReport(
                event.seq, event.at_ns, 0.0, fault=f"{type(error).__name__}: {payload[:80]!r}"
            )


def _find_speech(session: RoomSession, req_id: str) -> RoomSpeech | None:
    """Return the request of this id in the session of a room; None if it is unknown."""
    return next((speech for speech in session.speeches if speech.req_id == req_id), None)


def _value_of(event: Event) -> object:
    """Return the message of a frame; None for other events."""
    return event.content.value if isinstance(event.content, Sent | Received) else None
