"""Drives a Motion Server as an agent with an egress does: it speaks into a room, interrupts, and leaves.

What is seen and heard in the room comes from whoever watches it; this driver only speaks and waits.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from spatius_sim import __version__
from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.record_kit_stalls import record_kit_stalls
from spatius_sim.plans.plan_token import token_of
from spatius_sim.plans.room_plan import MILLISECONDS, RoomPlan, RoomTurn, make_tones
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import session_token_in
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    MotionResponse,
    ServerError,
)
from spatius_sim.protocol.room_packet import PacketFlag
from spatius_sim.subjects.server_access import OpenSession, ServerAccess
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    EventKind,
    Joined,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Received,
    Trace,
    TraceHeader,
    WaitEnded,
)
from spatius_sim.trace.room_events import LeftRoom, PacketSeen, PlaybackTold

_SESSION, _REFUSED = "room-session", "refused-session"
ANSWER_SECONDS = 12.0
JOIN_SECONDS = 11.0
_RETRY_SECONDS = 0.2
PLAYBACK_SECONDS = 6.0
"""How long after the speech could have been played the kit waits for the report of its end."""

SILENCE_SECONDS = 1.0
LEAVE_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_HEARD_BEFORE_INTERRUPT = 0.6
_AFTER_REPORT_SECONDS = 0.3
"""Idle packets that follow a conversation have this long to come."""

_CHUNK_BYTES = 6400
_TOKEN_LIFE_SECONDS = 3600


class RoomWatch(Protocol):
    """Somebody who watches rooms, and records what happens there."""

    def watching(self, name: str, egress: LiveKitEgress) -> AbstractAsyncContextManager[None]:
        """Watch the room of this egress while the context is open; events belong to session `name`."""

    async def join_late(self) -> None:
        """Let another viewer join now."""


ConfigureNewRoom = Callable[[], tuple[LiveKitEgress, LiveKitEgress]]
"""Returns two configurations for one run: a new room, and a room that refuses the publisher."""


@dataclass(slots=True)
class _Progress:
    """How far a session with a room is: its first answer, who joined and left, and what its room has shown
    and told."""

    answer: ConfirmSession | ServerError | None = None
    joined: bool = False
    left: bool = False
    packet_count: int = 0
    is_idle: bool = False
    finished_count: int = 0

    @property
    def is_quiet(self) -> bool:
        """Whether the newest packet is an idle one, or the publisher has left."""
        return self.left or self.is_idle

    def note_event(self, content: EventKind) -> None:
        """Update how far this session with a room is, by what one event of the session shows: the first
        answer of Motion Server, the publisher joining or leaving, a packet of motion, or an end of motion or
        playback."""
        match content:
            case Received(value=ConfirmSession() | ServerError() as answer) if self.answer is None:
                self.answer = answer
            case Received(value=MotionResponse(end=True)):
                self.finished_count += 1
            case Joined():
                self.joined = True
            case LeftRoom():
                self.left = True
            case PlaybackTold(_, "lk.playback_finished", _):
                self.finished_count += 1
            case PacketSeen(_, raw):
                self.packet_count += 1
                self.is_idle = bool(raw[:1] and raw[0] & PacketFlag.IDLE)


class RoomSubject:
    """Runs plans against one Motion Server through `access`, while `room_watch` watches its rooms. `api_key`
    and `ids` (app, avatar) are sent to it. It may take `attach_seconds` to answer for the first time."""

    kind = "room"
    wire = ""
    cut_a_wait_short = False

    def __init__(
        self,
        target: str,
        access: ServerAccess,
        room_watch: RoomWatch,
        recorder: RealTimeRecorder,
        configure_new_room: ConfigureNewRoom,
        api_key: str,
        ids: tuple[str, str] = (APP_ID, AVATAR_ID),
        *,
        lacks: tuple[str, ...] = (),
        seed: int = 0,
        attach_seconds: float = 0.0,
    ) -> None:
        """Prepare to judge the Motion Server that `access` reaches, and connect to nothing yet. `room_watch`
        watches the rooms in which the server publishes; `configure_new_room` makes the configuration of such
        a room. `ids` are those of app and avatar. The first answer may take `attach_seconds`. `lacks`, the
        features that the server is declared to lack, and `seed` are written into each trace."""
        self.target = target
        self._access, self._room_watch, self._recorder = access, room_watch, recorder
        self._configure_new_room, self._api_key, self._ids = configure_new_room, api_key, ids
        self._lacks, self._seed, self._attach_seconds = lacks, seed, attach_seconds
        self._progress_by_session: dict[str, _Progress] = {}
        self._read_event_count = 0

    async def attach(self) -> None:
        """Wait until the Motion Server whose rooms are judged answers: open a first session, and close it. If
        the server does not answer, try again. Raises UnreachableError if it has not answered after
        `attach_seconds`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._attach_seconds
        while True:
            try:
                async with self._access.open_session(await self._fetch_token(), *self._ids):
                    return
            except UnreachableError:
                if loop.time() >= deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    async def detach(self) -> None:
        """Do nothing: no connection is held between runs."""

    async def run(self, plan: RoomPlan, *, patient: bool = False) -> Trace:
        """Run the plan in a new room, in which the Motion Server under test publishes, and return the trace.
        After that, if the plan says so, open another session whose room refuses the server. `patient` changes
        nothing: no wait is ever shortened. Raises UnreachableError if no session can be opened, or if the
        room cannot be watched."""
        self._progress_by_session = {_SESSION: _Progress(), _REFUSED: _Progress()}
        self._read_event_count = 0
        room, refusing_room = self._configure_new_room()
        header = TraceHeader(
            self.kind, "", self._seed, str(plan), __version__, self._lacks, plan_token=token_of(plan)
        )
        self._recorder.start(header)
        try:
            async with record_kit_stalls(self._recorder):
                await self._speak_in_room(_SESSION, room, plan)
                if plan.refuses:
                    self._recorder.emit(Lane.KIT, _REFUSED, Provoked(Provocation.ROOM_REFUSES))
                    async with self._open_session(_REFUSED) as session:
                        await self._configure_session(_REFUSED, session, refusing_room, plan.sample_rate)
        finally:
            trace = self._recorder.finish()
        return trace

    async def _speak_in_room(self, session_name: str, egress: LiveKitEgress, plan: RoomPlan) -> None:
        """Open a session whose motion is published in this room, speak every turn of the plan, and leave.
        Before the second turn, another viewer joins. Stop early if Motion Server does not confirm the
        session, or does not join the room in time."""
        async with self._room_watch.watching(session_name, egress):
            async with self._open_session(session_name) as session:
                if not await self._configure_session(session_name, session, egress, plan.sample_rate):
                    return
                joined = await self._wait_until(lambda: self._progress_of(session_name).joined, JOIN_SECONDS)
                self._record_end_of_wait(session_name, Awaited.ROOM, joined)
                if not joined:
                    return
                # Idle packets must come before the first conversation.
                await asyncio.sleep(2 * _AFTER_REPORT_SECONDS)
                for number, turn in enumerate(plan.turns):
                    if number == 1:
                        await self._room_watch.join_late()
                    await self._speak_turn(
                        session_name, session, f"turn-{number + 1}", turn, plan.sample_rate
                    )
            left = await self._wait_until(lambda: self._progress_of(session_name).left, LEAVE_SECONDS)
            self._record_end_of_wait(session_name, Awaited.HANG_UP, left)

    async def _speak_turn(
        self, session_name: str, session: OpenSession, req_id: str, turn: RoomTurn, sample_rate: int
    ) -> None:
        """Speak one turn, as request `req_id`, and wait until the room has played it: until Motion Server
        reports the end, and no more motion comes. If the turn is to be interrupted, interrupt it after a part
        was played, and wait until the room is quiet."""
        speech_seconds = turn.milliseconds / MILLISECONDS
        progress_before = self._progress_of(session_name)
        finished_count_before = progress_before.finished_count
        packet_count_before = progress_before.packet_count
        await self._send_speech(session_name, session, req_id, make_tones(speech_seconds, sample_rate))
        longest_wait_seconds = speech_seconds + PLAYBACK_SECONDS
        if turn.interrupted:
            packet_count_wanted = packet_count_before + int(_HEARD_BEFORE_INTERRUPT * KEYFRAMES_PER_SECOND)
            await self._wait_until(
                lambda: self._progress_of(session_name).packet_count >= packet_count_wanted, PLAYBACK_SECONDS
            )
            await self._send(session_name, session, encode(Interrupt(req_id)))
            await asyncio.sleep(SILENCE_SECONDS)
            self._record_end_of_wait(session_name, Awaited.SILENCE, complete=True)
            await self._wait_until(lambda: self._progress_of(session_name).is_quiet, speech_seconds)
            return
        finished = await self._wait_until(
            lambda: self._progress_of(session_name).finished_count > finished_count_before,
            longest_wait_seconds,
        )
        # If the report of the end comes too early, the sound after it must be recorded, too.
        await asyncio.sleep(_AFTER_REPORT_SECONDS if finished else 0)
        await self._wait_until(lambda: self._progress_of(session_name).is_quiet, longest_wait_seconds)
        self._record_end_of_wait(session_name, Awaited.TURN, finished)

    async def _send_speech(self, session_name: str, session: OpenSession, req_id: str, pcm: bytes) -> None:
        """Send the server the audio of one request, whose answer is played in the room, faster than it is
        spoken."""
        for start in range(0, len(pcm), _CHUNK_BYTES):
            await self._send(
                session_name, session, encode(AudioInput(req_id, pcm[start : start + _CHUNK_BYTES]))
            )
        await self._send(session_name, session, encode(AudioInput(req_id, end=True)))

    async def _configure_session(
        self, session_name: str, session: OpenSession, egress: LiveKitEgress, sample_rate: int
    ) -> bool:
        """Ask Motion Server to publish the motion of this session in a room, which `egress` names. Record
        whether an answer came, and return whether the server confirmed."""
        configuration = ConfigureSession(sample_rate, egress_type=EgressType.LIVEKIT, livekit_egress=egress)
        await self._send(session_name, session, encode(configuration))
        answered = await self._wait_until(
            lambda: self._progress_of(session_name).answer is not None, ANSWER_SECONDS
        )
        self._record_end_of_wait(session_name, Awaited.HANDSHAKE, answered)
        return isinstance(self._progress_of(session_name).answer, ConfirmSession)

    @asynccontextmanager
    async def _open_session(self, session_name: str) -> AsyncIterator[OpenSession]:
        """Open a session with the Motion Server whose rooms are judged, yield it, and close it at the end.
        Record the session under this name. Raises UnreachableError if it cannot be opened."""
        async with self._access.open_session(await self._fetch_token(), *self._ids) as session:
            self._recorder.emit(Lane.UPSTREAM, session_name, Opened("", *self._ids))
            listening = asyncio.create_task(self._listen(session_name, session))
            try:
                yield session
                if not listening.done():
                    self._recorder.emit(Lane.UPSTREAM, session_name, Closed(by_kit=True, code=1000))
            finally:
                listening.cancel()

    async def _fetch_token(self) -> str:
        """Ask the Motion Server whose rooms are judged for a session token that is valid for an hour, and
        return it. Raises UnreachableError if the server issues none."""
        expire_at = int(self._access.unix_time()) + _TOKEN_LIFE_SECONDS
        answer = await self._access.ask_for_token(self._api_key, expire_at)
        token = session_token_in(answer) if answer.status == HTTPStatus.OK else ""
        if not token:
            raise UnreachableError(f"the token was refused: HTTP {answer.status}")
        return token

    async def _listen(self, session_name: str, session: OpenSession) -> None:
        """Record what a session receives, and that the server has closed it."""
        async for raw in session.frames():
            self._recorder.record_received(Lane.UPSTREAM, session_name, raw)
        self._recorder.emit(Lane.UPSTREAM, session_name, Closed(by_kit=False, code=session.close_code))

    async def _send(self, session_name: str, session: OpenSession, frame: bytes) -> None:
        """Send a frame in a session of the Motion Server whose rooms are judged, and record it first."""
        self._recorder.record_sent(Lane.UPSTREAM, session_name, frame)
        await session.send(frame)

    def _progress_of(self, session_name: str) -> "_Progress":
        """Return the progress of this session with a room up to now: the first answer of Motion Server, who
        has joined and left, and what the room has shown. First update the progress of all sessions by the
        events that were recorded since the last call. The kit calls this again and again while it waits."""
        events = self._recorder.events
        for event in events[self._read_event_count :]:
            if event.connection in self._progress_by_session:
                self._progress_by_session[event.connection].note_event(event.content)
        self._read_event_count = len(events)
        return self._progress_by_session[session_name]

    async def _wait_until(self, is_over: Callable[[], bool], seconds: float) -> bool:
        """Wait for what a session or its room has to show, before the kit speaks on or leaves: call `is_over`
        every 0.05 s until it returns True, for `seconds` at most. Return True if it did, and False if the
        time is up."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not is_over():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    def _record_end_of_wait(self, session_name: str, awaited: Awaited, complete: bool) -> None:
        """Record that a wait for the session or its room ended, and whether what the kit waited for came."""
        self._recorder.emit(Lane.KIT, session_name, WaitEnded(awaited, complete))
