"""Plays the speech of a session in a room: audio, motion, interrupts and ticks of 40 ms come in; sound,
packets of motion and news of the playback go out. It has no clock: its owner calls `tick` every 40 ms.

In idle time every tick gives an idle packet. Then come a transition, the conversation (START on the first
keyframe, END on the last), a transition back, and idle time again (ios-rtc). ASSUMED: how long a transition
lasts on the sending side (one packet; the client blends over more frames), and that an interrupted
conversation ends without END, by its transition alone.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from spatius_sim.model.room.room_faults import RoomFault
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH, Keyframes
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket, write_packet

TICK_SECONDS = 1 / KEYFRAMES_PER_SECOND

MOTION_PATIENCE_TICKS = 50
"""Ticks (2 s) that sound waits for its motion; then it plays alone. ASSUMED."""

LONGEST_PAUSE_TICKS = 60 * KEYFRAMES_PER_SECOND
"""Ticks (60 s) after which a request that is still paused is interrupted. ASSUMED: there is a limit
(spatialreal); how long it is, nobody says."""

EXPLICIT, PAUSE_TIMEOUT = "explicit", "pause_timeout"
"""Why a request was interrupted (spatialreal)."""

_TICKS_BEFORE_LEAVING = 25
"""Ticks of speech after which a publisher leaves that is to leave in mid-turn."""

_CONVERSATION_BYTES = 1024
"""What a conversation counts in memory even if it is empty (estimated)."""

_REST = np.zeros((1, WIDTH), np.float32)
"""The keyframe of idle time. ASSUMED: what the service sends there is not public."""


@dataclass(frozen=True, slots=True)
class PlaySound:
    """Play these samples (mono s16le, 40 ms of them, the last ones of a conversation fewer)."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class ShowPacket:
    """Show this packet in the next video frame."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class TellStarted:
    """Tell the agent that the playback of a request begins."""

    req_id: str


@dataclass(frozen=True, slots=True)
class TellFinished:
    """Tell the agent that the playback of a request is over. `position`: seconds that were played. `reason`
    says why it was interrupted."""

    req_id: str
    position: float
    interrupted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Leave the room."""


RoomOutput = PlaySound | ShowPacket | TellStarted | TellFinished | LeaveRoom


@dataclass(slots=True)
class _Conversation:
    """The speech of one request in the room: what has come of this speech, and how much of it was played."""

    req_id: str
    pcm: bytearray = field(default_factory=bytearray)
    keyframes: deque[Keyframes] = field(default_factory=deque)
    audio_ended: bool = False
    motion_ended: bool = False
    begun: bool = False
    shown: int = 0
    played_bytes: int = 0
    waited_ticks: int = 0
    paused: bool = False
    paused_ticks: int = 0
    told_finished: bool = False

    @property
    def alone(self) -> bool:
        """Whether the sound plays without its motion, because the sound waited for the motion long enough."""
        return self.waited_ticks >= MOTION_PATIENCE_TICKS

    @property
    def motion_ready(self) -> bool:
        """Whether a keyframe can be shown now: a keyframe is there, and it is known whether it is the
        last."""
        return len(self.keyframes) > 1 or (self.motion_ended and bool(self.keyframes))


class RoomPlayback:
    """The playback of one session with an egress. `sample_rate` is in Hz, that of the PCM which `add_audio`
    takes. `compress`: deflate the packets. `faults`: what goes wrong on purpose."""

    def __init__(
        self,
        connection_id: str,
        sample_rate: int,
        faults: Iterable[RoomFault] = (),
        *,
        compress: bool = False,
    ) -> None:
        """Begin the playback of a session in its room, with nothing to play yet. The docstring of the class
        explains the parameters."""
        self.connection_id, self.sample_rate = connection_id, sample_rate
        self.faults = frozenset(faults)
        self._compress = compress
        self._tick_bytes = sample_rate // KEYFRAMES_PER_SECOND * BYTES_PER_SAMPLE
        self.held_bytes = 0
        """Bytes of audio and motion that wait to be played."""
        self._waiting: dict[str, _Conversation] = {}
        self._idle = True
        self._left = False
        self._next_packets: deque[PacketFlag] = deque()
        """Transitions that come before anything else."""

    @property
    def playing(self) -> bool:
        """Whether anything but idle time is left to be played."""
        return bool(self._waiting or self._next_packets) and not self._left

    def add_audio(self, req_id: str, pcm: bytes, *, end: bool) -> None:
        """Take the next PCM of a request (mono s16le), which the room will play; `end` if this is the
        last."""
        conversation = self._conversation(req_id)
        conversation.pcm += pcm
        self.held_bytes += len(pcm)
        conversation.audio_ended |= end

    def add_motion(self, req_id: str, keyframes: Keyframes, *, end: bool) -> None:
        """Take the next keyframes of a request, shape (n, 120), which the room will play. `end`: they are the
        last of the request."""
        conversation = self._conversation(req_id)
        if RoomFault.NO_MOTION not in self.faults:
            conversation.keyframes.extend(keyframes[row : row + 1] for row in range(len(keyframes)))
            self.held_bytes += keyframes.nbytes
        conversation.motion_ended |= end

    def interrupt(self, req_id: str) -> list[RoomOutput]:
        """Interrupt the playback of a request in the room, and return the outputs that report this; an empty
        list if the request is unknown or over."""
        conversation = self._waiting.get(req_id)
        if conversation is None:
            return []
        if RoomFault.IGNORE_INTERRUPT in self.faults:
            return self.fail(req_id)
        return self._interrupt_conversation(conversation, EXPLICIT)

    def pause(self, req_id: str, *, paused: bool) -> bool:
        """Pause the playback of a request in its room, or resume it (`paused` is false). Return False if the
        room plays no such request. Audio and motion that come during the pause are kept."""
        conversation = self._waiting.get(req_id)
        if conversation is None:
            return False
        conversation.paused, conversation.paused_ticks = paused, 0
        return True

    def position(self, req_id: str) -> float:
        """Return how many seconds of a request were played in the room; 0 if the request is unknown or
        over."""
        conversation = self._waiting.get(req_id)
        return 0.0 if conversation is None else self._position(conversation)

    def fail(self, req_id: str) -> list[RoomOutput]:
        """Note that no more audio and motion will come for a request. The room still plays what has arrived.
        Return no outputs, because nothing is played or reported now."""
        conversation = self._waiting.get(req_id)
        if conversation is not None:
            conversation.audio_ended = conversation.motion_ended = True
        return []

    def tick(self) -> list[RoomOutput]:
        """Return what the room plays in the next 40 ms: sound and a packet of motion, and reports of the
        playback; an empty list if the next keyframe is late or the publisher has left."""
        if self._left:
            return []
        if self._next_packets:
            return [
                self._show(RoomPacket(self._next_packets.popleft(), None, self._encode_keyframe("", _REST)))
            ]
        conversation = next(iter(self._waiting.values()), None)
        if conversation is not None and conversation.paused:
            return self._stay_paused(conversation)
        if conversation is None or not self._may_play(conversation):
            # In mid-conversation nothing is shown while its next keyframe is late.
            return [] if conversation is not None and conversation.begun else [self._show_idle()]
        if self._idle and conversation.keyframes:
            self._idle = False
            target = self._encode_keyframe(conversation.req_id, conversation.keyframes[0])
            return [self._show(RoomPacket(PacketFlag.TRANSITION, None, target))]
        return self._play(conversation)

    def _stay_paused(self, conversation: _Conversation) -> list[RoomOutput]:
        """Play nothing in the room for 40 ms. If the conversation is paused for too long, interrupt it and
        return the outputs that report this."""
        conversation.paused_ticks += 1
        too_long = conversation.paused_ticks > LONGEST_PAUSE_TICKS
        return self._interrupt_conversation(conversation, PAUSE_TIMEOUT) if too_long else []

    def _interrupt_conversation(self, conversation: _Conversation, reason: str) -> list[RoomOutput]:
        """Interrupt a conversation in the room for this `reason`, and return the outputs that report this."""
        if conversation.begun:
            self._next_packets.append(PacketFlag.TRANSITION_END)
        return self._end_playback(conversation, interrupted_by=reason)

    def _conversation(self, req_id: str) -> _Conversation:
        """Return the room's conversation for a request. If there is none, begin one, which is played after
        all others."""
        if req_id not in self._waiting:
            self._waiting[req_id] = _Conversation(req_id)
            self.held_bytes += _CONVERSATION_BYTES
        return self._waiting[req_id]

    def _may_play(self, conversation: _Conversation) -> bool:
        """Return whether the next 40 ms of this conversation may be played in the room: its sound has
        arrived, and its motion has arrived or was waited for long enough. Counts one more tick of waiting if
        only the motion is missing."""
        has_sound = len(conversation.pcm) >= self._tick_bytes or conversation.audio_ended
        if not has_sound:
            return False
        if conversation.motion_ready or conversation.motion_ended:
            return True
        conversation.waited_ticks += 1
        return conversation.alone

    def _play(self, conversation: _Conversation) -> list[RoomOutput]:
        """Return the sound and the packet of the next 40 ms of a conversation in the room, and the report if
        the playback of this conversation begins or is over."""
        outputs: list[RoomOutput] = []
        if not conversation.begun:
            conversation.begun = True
            outputs.append(TellStarted(conversation.req_id))
            if RoomFault.FINISHED_EARLY in self.faults:
                outputs += self._tell_finished(conversation, "")
        if conversation.motion_ready:
            outputs.append(self._show_next_keyframe(conversation))
        elif not conversation.shown:
            outputs.append(self._show_idle())
        pcm = bytes(conversation.pcm[: self._tick_bytes])
        del conversation.pcm[: self._tick_bytes]
        self.held_bytes -= len(pcm)
        conversation.played_bytes += len(pcm)
        if pcm and RoomFault.MUTE not in self.faults:
            outputs.append(PlaySound(pcm))
        if RoomFault.LEAVE_MID_TURN in self.faults and conversation.shown >= _TICKS_BEFORE_LEAVING:
            self._left = True
            return [*outputs, LeaveRoom()]
        motion_over = conversation.motion_ended and not conversation.keyframes
        if conversation.audio_ended and not conversation.pcm and (motion_over or conversation.alone):
            self._next_packets.append(PacketFlag.TRANSITION_END)
            outputs += self._end_playback(conversation)
        return outputs

    def _show_next_keyframe(self, conversation: _Conversation) -> ShowPacket:
        """Return the output that shows the conversation's next keyframe in the room. Its packet has START if
        the keyframe is the first, and END if it is the last."""
        keyframe = conversation.keyframes.popleft()
        self.held_bytes -= keyframe.nbytes
        flags = PacketFlag(0) if conversation.shown else PacketFlag.START
        last = conversation.motion_ended and not conversation.keyframes
        if last and RoomFault.NO_END not in self.faults:
            flags |= PacketFlag.END
        message = self._encode_keyframe(conversation.req_id, keyframe, end=last)
        packet = RoomPacket(flags, conversation.shown, message)
        conversation.shown += 1
        return self._show(packet)

    def _end_playback(self, conversation: _Conversation, interrupted_by: str = "") -> list[RoomOutput]:
        """End the playback of a conversation in the room, and forget the conversation. Return the report of
        its end; `interrupted_by` says why it was interrupted, "" if it was not."""
        del self._waiting[conversation.req_id]
        self.held_bytes -= _CONVERSATION_BYTES + len(conversation.pcm)
        self.held_bytes -= sum(keyframe.nbytes for keyframe in conversation.keyframes)
        self._idle = True
        return self._tell_finished(conversation, interrupted_by)

    def _tell_finished(self, conversation: _Conversation, interrupted_by: str) -> list[RoomOutput]:
        """Return the report that the playback of a conversation is over; an empty list if this was reported
        before, or if a fault of the room keeps the report back."""
        if conversation.told_finished or RoomFault.NO_FINISHED in self.faults:
            return []
        conversation.told_finished = True
        position = self._position(conversation)
        return [TellFinished(conversation.req_id, position, bool(interrupted_by), interrupted_by)]

    def _position(self, conversation: _Conversation) -> float:
        """Return how many seconds of a conversation were played."""
        return conversation.played_bytes / BYTES_PER_SAMPLE / self.sample_rate

    def _encode_keyframe(self, req_id: str, keyframe: Keyframes, *, end: bool = False) -> bytes:
        """Return the envelope with one keyframe, shape (1, 120)."""
        return encode(MotionResponse(self.connection_id, req_id, end, keyframe))

    def _show_idle(self) -> ShowPacket:
        """Return the packet of idle time."""
        return self._show(RoomPacket(PacketFlag.IDLE, None, self._encode_keyframe("", _REST)))

    def _show(self, packet: RoomPacket) -> ShowPacket:
        """Return the output that shows this packet."""
        return ShowPacket(write_packet(packet, compress=self._compress))
