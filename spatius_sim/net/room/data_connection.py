"""A client's connection to a relay in a LiveKit room: frames of a wire travel as data packets, or each as a
byte stream of its own."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from livekit import rtc

from spatius_sim.net.room.joining_errors import why_not_joined
from spatius_sim.net.room.quiet_log import quiet_livekit_log
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NORMAL_CLOSE
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token
from spatius_sim.wires.events import Frame

CLIENT_IDENTITY_PREFIX = "sim-client-"
"""How the identities of the kit's clients begin."""

TOPIC = "spatius"
"""The topic of the streams."""

LARGEST_DATA_BYTES = 63_999
MAX_STREAM_BYTES = 16 * 1_048_576
_LOOK_SECONDS = 0.05
_NOBODY = "nobody"
_WAY_UP_SECONDS = 0.5
_CLOSE_SECONDS = 3.0
_CLIENT_NUMBERS = count(1)


async def dial_room(
    url: str,
    key: str,
    secret: str,
    room_name: str,
    seconds: float,
    on_frame: Callable[[Frame], None],
    on_end: Callable[[int], None],
    *,
    streams: bool,
) -> "RoomConnection":
    """Join a LiveKit room as a client, wait until a relay is there (anybody but the kit), and return the data
    connection. `on_frame` is called with each frame that comes, `on_end` once with a close code.

    Raises UnreachableError, without any credential, if the room cannot be joined or no relay comes within
    `seconds`."""
    quiet_livekit_log()
    room, identity = rtc.Room(), f"{CLIENT_IDENTITY_PREFIX}{next(_CLIENT_NUMBERS)}"
    grant = RoomGrant(room_name, identity)
    token = make_livekit_token(key, secret, grant, time.time())
    connection = RoomConnection(room, on_frame, on_end, streams=streams)
    joined = False
    try:
        async with asyncio.timeout(seconds):
            await room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
            joined = True
            while not connection.relays:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
            # The way up is made by the first packet; what follows at once may be lost (tried).
            await room.local_participant.publish_data(b" ", destination_identities=[_NOBODY])
            await asyncio.sleep(_WAY_UP_SECONDS)
    except rtc.ConnectError as error:
        raise UnreachableError(why_not_joined(url, error)) from None
    except TimeoutError:
        await connection.stop()
        nobody_came = f"nobody but the kit came to the room {room_name!r}"
        raise UnreachableError(nobody_came if joined else why_not_joined(url, None)) from None
    return connection


class RoomConnection:
    """The data connection of a client in a LiveKit room. Whatever others than the kit's clients send there
    comes from the relay; if the relay leaves, the connection is over."""

    answer_headers = ""

    def __init__(
        self,
        room: rtc.Room,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[int], None],
        *,
        streams: bool,
    ) -> None:
        """Begin a client's data connection to a relay in this LiveKit room. `on_frame` is called with each
        frame of the relay, and `on_end` once with the close code. If `streams`, frames are sent as byte
        streams, otherwise as data packets."""
        self._room, self._sends_streams = room, streams
        self._on_frame, self._on_end = on_frame, on_end
        self._has_ended = False
        self._not_paused = asyncio.Event()
        """Set while arrived frames may be handed to `on_frame`: from `resume` to `pause`, and at first."""
        self._not_paused.set()
        self._arrived_frames: asyncio.Queue[Frame | Any] = asyncio.Queue()
        room.on("data_received", self._queue_packet)
        room.on("participant_disconnected", self._on_participant_left)
        room.on("disconnected", lambda *_: self._report_end(ABNORMAL_CLOSE))
        room.register_byte_stream_handler(TOPIC, self._queue_stream)
        self._hand_over_task = asyncio.create_task(self._hand_over_frames())

    @property
    def relays(self) -> list[str]:
        """The identities of all participants of the room that are no clients of the kit."""
        identities = self._room.remote_participants
        return [identity for identity in identities if not identity.startswith(CLIENT_IDENTITY_PREFIX)]

    async def send(self, frame: Frame) -> None:
        """Send a frame to the relay in the LiveKit room: as a byte stream if the connection uses streams,
        otherwise as a data packet. A frame that is too large for a data packet is not sent. Nothing is raised
        if the room is gone."""
        raw = frame.encode() if isinstance(frame, str) else frame
        with contextlib.suppress(Exception):  # The library has no class of its own for a room that is gone.
            if not self._sends_streams:
                if len(raw) <= LARGEST_DATA_BYTES and not self._has_ended:
                    await self._room.local_participant.publish_data(raw, destination_identities=self.relays)
                return
            stream_writer = await self._room.local_participant.stream_bytes(
                "frame", total_size=len(raw), topic=TOPIC, destination_identities=self.relays
            )
            await stream_writer.write(raw)
            await stream_writer.aclose()

    def break_protocol(self) -> None:
        """Do nothing: only whole data packets can be sent in a LiveKit room."""

    def pause(self) -> None:
        """Leave the relay's frames in the room unread from now on."""
        self._not_paused.clear()

    def resume(self) -> None:
        """Read the relay's frames again, first those that arrived during the pause."""
        self._not_paused.set()

    async def close(self) -> None:
        """End the data connection: leave the LiveKit room, and wait at most 3 s for that. Errors are
        ignored."""
        self._has_ended = True
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._room.disconnect()

    def abort(self) -> None:
        """Leave the LiveKit room in a task of its own, without waiting for it."""
        self._has_ended = True
        self._leaving = asyncio.get_running_loop().create_task(self.close())

    async def stop(self) -> None:
        """Leave the LiveKit room, and hand over no more frames."""
        await self.close()
        self._hand_over_task.cancel()
        await asyncio.gather(self._hand_over_task, return_exceptions=True)

    def _queue_packet(self, packet: rtc.DataPacket) -> None:
        """Put a data packet of the relay into the queue of arrived frames. A packet may come before the news
        that its sender has joined; packets of the kit's own clients are ignored."""
        if packet.participant is None or not packet.participant.identity.startswith(CLIENT_IDENTITY_PREFIX):
            self._arrived_frames.put_nowait(frame_from_packet(packet.data))

    def _queue_stream(self, reader: Any, identity: str) -> None:
        """Put a byte stream of the relay into the queue of arrived frames. Streams are queued in the order of
        their headers."""
        if not identity.startswith(CLIENT_IDENTITY_PREFIX):
            self._arrived_frames.put_nowait(reader)

    async def _hand_over_frames(self) -> None:
        """Call `on_frame` with each frame that arrived on the data connection, in order, until cancelled. A
        byte stream is first read to its end. A pause of the connection holds the frames back."""
        while True:
            frame = await self._arrived_frames.get()
            if not isinstance(frame, str | bytes):
                frame = await _read_stream_frame(frame)
            await self._not_paused.wait()
            if frame is not None:
                self._on_frame(frame)

    def _on_participant_left(self, participant: Any) -> None:
        """End the data connection if the last relay has left the room."""
        if not participant.identity.startswith(CLIENT_IDENTITY_PREFIX) and not self.relays:
            self._report_end(NORMAL_CLOSE)

    def _report_end(self, close_code: int) -> None:
        """Call `on_end` with the close code, because the data connection has ended. Do nothing if it had
        ended before, or if the kit itself left the room."""
        if not self._has_ended:
            self._has_ended = True
            self._on_end(close_code)


def frame_from_packet(packet: bytes) -> Frame:
    """Return the frame in a data packet of a LiveKit room. It is a text if the bytes are a JSON object or
    array; otherwise the bytes are returned as they are."""
    if packet[:1] not in (b"{", b"["):
        return packet
    try:
        text = packet.decode()
        json.loads(text)
    except (ValueError, RecursionError):
        return packet
    return text


async def _read_stream_frame(reader: Any) -> Frame | None:
    """Read a byte stream of a LiveKit room to its end, and return the frame in it. Return None if its sender
    breaks it off, or if it is too large."""
    raw = bytearray()
    try:
        async for chunk in reader:
            raw += chunk
            if len(raw) > MAX_STREAM_BYTES:
                reader.close()
                return None
    except Exception:  # A stream that its sender breaks off is no message.
        return None
    return frame_from_packet(bytes(raw))
