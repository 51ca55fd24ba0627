"""Plays the speech of a session in a room: audio, motion, interrupts and ticks of 40 ms come in; sound,
packets of motion and news of the playback go out. It has no clock: its owner calls `tick` every 40 ms.

In idle time every tick gives an idle packet. Then come a transition, the conversation (START on the first
keyframe, END on the last), a transition back, and idle time again (ios-rtc). ASSUMED: how long a transition
lasts on the sending side (one packet; the client blends over more frames), and that an interrupted
conversation ends without END, by its transition alone.
"""

import json
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
"""Why a request was interrupted: somebody asked for it, or it was paused for too long (spatialreal)."""

PLAYBACK_STARTED = "lk.playback_started"
PLAYBACK_FINISHED = "lk.playback_finished"
"""The RPCs to the agent, as the LiveKit plugin defines them (plugin)."""

_TICKS_BEFORE_LEAVING = 25
"""Ticks of speech after which a publisher leaves that is to leave in mid-turn."""

_CONVERSATION_BYTES = 1024
"""What a conversation counts in memory even if it is empty (estimated)."""

_IDLE_KEYFRAME = np.zeros((1, WIDTH), np.float32)
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


def make_agent_rpc(output: RoomOutput) -> tuple[str, str] | None:
    """Return method and JSON payload of the RPC that reports this output of a playback to the agent, a
    participant of the room: the playback has started or finished, as the LiveKit plugin defines it. Return
    None for any other output."""
    match output:
        case TellStarted():
            return PLAYBACK_STARTED, "{}"
        case TellFinished(_, position, interrupted):
            report = {"playback_position": position, "interrupted": interrupted}
            return PLAYBACK_FINISHED, json.dumps(report)
    return None


@dataclass(slots=True)
class _Conversation:
    """The speech of one request in the room: what has come of this speech, and how much of it was played."""

    req_id: str
    pcm: bytearray = field(default_factory=bytearray)
    keyframes: deque[Keyframes] = field(default_factory=deque)
    audio_ended: bool = False
    motion_ended: bool = False
    has_begun: bool = False
    shown_count: int = 0
    played_bytes: int = 0
    waited_ticks: int = 0
    paused: bool = False
    paused_ticks: int = 0
    told_finished: bool = False

    @property
    def gave_up_on_motion(self) -> bool:
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
        """Begin the playback of a session in its room, with nothing to play yet. `sample_rate` is the rate of
        the audio in Hz. `faults` are what goes wrong on purpose. `compress`: whether packets are deflated."""
        self.connection_id, self.sample_rate = connection_id, sample_rate
        self.faults = frozenset(faults)
        self._compress = compress
        self._tick_bytes = sample_rate // KEYFRAMES_PER_SECOND * BYTES_PER_SAMPLE
        self.held_bytes = 0
        """Bytes of audio and motion that wait to be played."""
        self._conversation_by_req_id: dict[str, _Conversation] = {}
        self._is_idle = True
        self._has_left = False
        self._next_transitions: deque[PacketFlag] = deque()
        """Transitions that come before anything else."""

    @property
    def playing(self) -> bool:
        """Whether anything but idle time is left to be played."""
        return bool(self._conversation_by_req_id or self._next_transitions) and not self._has_left

    def add_audio(self, req_id: str, pcm: bytes, *, end: bool) -> None:
        """Add the next audio of a request to what the room will play. `pcm` is mono s16le; `end` is true if
        this is the last audio of the request."""
        conversation = self._get_or_begin_conversation(req_id)
        conversation.pcm += pcm
        self.held_bytes += len(pcm)
        conversation.audio_ended |= end

    def add_motion(self, req_id: str, keyframes: Keyframes, *, end: bool) -> None:
        """Add the next keyframes of a request, shape (n, 120), to what the room will play. `end` is true if
        they are the last of the request. With the fault NO_MOTION, the keyframes are dropped."""
        conversation = self._get_or_begin_conversation(req_id)
        if RoomFault.NO_MOTION not in self.faults:
            conversation.keyframes.extend(keyframes[row : row + 1] for row in range(len(keyframes)))
            self.held_bytes += keyframes.nbytes
        conversation.motion_ended |= end

    def interrupt(self, req_id: str) -> list[RoomOutput]:
        """Interrupt the playback of a request in the room, because somebody asked for it (EXPLICIT), and
        return the outputs that report this. An empty list if the request is unknown or over. With the fault
        IGNORE_INTERRUPT, only note that no more input comes, and return an empty list: the room plays on."""
        conversation = self._conversation_by_req_id.get(req_id)
        if conversation is None:
            return []
        if RoomFault.IGNORE_INTERRUPT in self.faults:
            return self.end_input(req_id)
        return self._interrupt_conversation(conversation, EXPLICIT)

    def set_paused(self, req_id: str, *, paused: bool) -> bool:
        """Pause the playback of a request in its room, or resume it if `paused` is false. Return False if the
        room plays no such request, otherwise True. Audio and motion that come during the pause are kept."""
        conversation = self._conversation_by_req_id.get(req_id)
        if conversation is None:
            return False
        conversation.paused, conversation.paused_ticks = paused, 0
        return True

    def position(self, req_id: str) -> float:
        """Return how many seconds of a request were played in the room; 0 if the request is unknown or
        over."""
        conversation = self._conversation_by_req_id.get(req_id)
        return 0.0 if conversation is None else self._played_seconds(conversation)

    def end_input(self, req_id: str) -> list[RoomOutput]:
        """Note that no more audio and motion will come for a request. What has arrived is still played.
        Return an empty list of outputs: nothing is played or reported now."""
        conversation = self._conversation_by_req_id.get(req_id)
        if conversation is not None:
            conversation.audio_ended = conversation.motion_ended = True
        return []

    def tick(self) -> list[RoomOutput]:
        """Play the next 40 ms in the room. Return the outputs: sound, a packet of motion, and reports about
        the playback; or a packet of a transition, or of idle time. An empty list if the next keyframe is
        late, if the playback is paused, or if the publisher has left the room."""
        if self._has_left:
            return []
        if self._next_transitions:
            idle_keyframe = self._encode_keyframe("", _IDLE_KEYFRAME)
            return [self._show(RoomPacket(self._next_transitions.popleft(), None, idle_keyframe))]
        conversation = next(iter(self._conversation_by_req_id.values()), None)
        if conversation is not None and conversation.paused:
            return self._count_paused_tick(conversation)
        if conversation is None or not self._check_if_playable(conversation):
            # In mid-conversation nothing is shown while its next keyframe is late.
            return [] if conversation is not None and conversation.has_begun else [self._show_idle()]
        if self._is_idle and conversation.keyframes:
            self._is_idle = False
            target = self._encode_keyframe(conversation.req_id, conversation.keyframes[0])
            return [self._show(RoomPacket(PacketFlag.TRANSITION, None, target))]
        return self._play_tick(conversation)

    def _count_paused_tick(self, conversation: _Conversation) -> list[RoomOutput]:
        """Count 40 ms in which the room plays nothing because this conversation is paused; return an empty
        list. If the pause is too long, interrupt the conversation, and return the outputs that report
        this."""
        conversation.paused_ticks += 1
        too_long = conversation.paused_ticks > LONGEST_PAUSE_TICKS
        return self._interrupt_conversation(conversation, PAUSE_TIMEOUT) if too_long else []

    def _interrupt_conversation(self, conversation: _Conversation, reason: str) -> list[RoomOutput]:
        """Interrupt a conversation in the room for this `reason`, and return the outputs that report this."""
        if conversation.has_begun:
            self._next_transitions.append(PacketFlag.TRANSITION_END)
        return self._end_playback(conversation, interrupted_by=reason)

    def _get_or_begin_conversation(self, req_id: str) -> _Conversation:
        """Return the conversation of a request in the room. If there is none yet, begin one; it is played
        after all others."""
        if req_id not in self._conversation_by_req_id:
            self._conversation_by_req_id[req_id] = _Conversation(req_id)
            self.held_bytes += _CONVERSATION_BYTES
        return self._conversation_by_req_id[req_id]

    def _check_if_playable(self, conversation: _Conversation) -> bool:
        """Return whether the next 40 ms of this conversation may be played in the room. Its sound must have
        arrived; its motion must have arrived too, or have been waited for long enough. If only the motion is
        missing, count one more tick of waiting."""
        has_sound = len(conversation.pcm) >= self._tick_bytes or conversation.audio_ended
        if not has_sound:
            return False
        if conversation.motion_ready or conversation.motion_ended:
            return True
        conversation.waited_ticks += 1
        return conversation.gave_up_on_motion

    def _play_tick(self, conversation: _Conversation) -> list[RoomOutput]:
        """Play the next 40 ms of a conversation in the room. Return the outputs: the keyframe, the sound, and
        a report if the playback begins or is over. A publisher with the fault LEAVE_MID_TURN leaves after a
        while."""
        outputs: list[RoomOutput] = []
        if not conversation.has_begun:
            conversation.has_begun = True
            outputs.append(TellStarted(conversation.req_id))
            if RoomFault.FINISHED_EARLY in self.faults:
                outputs += self._report_finished(conversation, "")
        if conversation.motion_ready:
            outputs.append(self._show_next_keyframe(conversation))
        elif not conversation.shown_count:
            outputs.append(self._show_idle())
        pcm = bytes(conversation.pcm[: self._tick_bytes])
        del conversation.pcm[: self._tick_bytes]
        self.held_bytes -= len(pcm)
        conversation.played_bytes += len(pcm)
        if pcm and RoomFault.MUTE not in self.faults:
            outputs.append(PlaySound(pcm))
        if RoomFault.LEAVE_MID_TURN in self.faults and conversation.shown_count >= _TICKS_BEFORE_LEAVING:
            self._has_left = True
            return [*outputs, LeaveRoom()]
        motion_is_over = conversation.motion_ended and not conversation.keyframes
        sound_is_over = conversation.audio_ended and not conversation.pcm
        if sound_is_over and (motion_is_over or conversation.gave_up_on_motion):
            self._next_transitions.append(PacketFlag.TRANSITION_END)
            outputs += self._end_playback(conversation)
        return outputs

    def _show_next_keyframe(self, conversation: _Conversation) -> ShowPacket:
        """Take the next keyframe of a conversation, and return the output that shows it in the room. Its
        packet has the flag START if it is the first keyframe, and END if it is the last (not with the fault
        NO_END)."""
        keyframe = conversation.keyframes.popleft()
        self.held_bytes -= keyframe.nbytes
        flags = PacketFlag(0) if conversation.shown_count else PacketFlag.START
        is_last = conversation.motion_ended and not conversation.keyframes
        if is_last and RoomFault.NO_END not in self.faults:
            flags |= PacketFlag.END
        message = self._encode_keyframe(conversation.req_id, keyframe, end=is_last)
        packet = RoomPacket(flags, conversation.shown_count, message)
        conversation.shown_count += 1
        return self._show(packet)

    def _end_playback(self, conversation: _Conversation, interrupted_by: str = "") -> list[RoomOutput]:
        """Forget a conversation in the room, because it was played or interrupted. Return the output that
        reports its end. `interrupted_by` says why it was interrupted; "" if it was played to its end."""
        del self._conversation_by_req_id[conversation.req_id]
        self.held_bytes -= _CONVERSATION_BYTES + len(conversation.pcm)
        self.held_bytes -= sum(keyframe.nbytes for keyframe in conversation.keyframes)
        self._is_idle = True
        return self._report_finished(conversation, interrupted_by)

    def _report_finished(self, conversation: _Conversation, interrupted_by: str) -> list[RoomOutput]:
        """Return the output that reports that the playback of a conversation is over. An empty list if this
        was reported before, or if the fault NO_FINISHED suppresses it. `interrupted_by` says why it was
        interrupted; "" if it was not."""
        if conversation.told_finished or RoomFault.NO_FINISHED in self.faults:
            return []
        conversation.told_finished = True
        played_seconds = self._played_seconds(conversation)
        return [TellFinished(conversation.req_id, played_seconds, bool(interrupted_by), interrupted_by)]

    def _played_seconds(self, conversation: _Conversation) -> float:
        """Return how many seconds of a conversation were played."""
        return conversation.played_bytes / BYTES_PER_SAMPLE / self.sample_rate

    def _encode_keyframe(self, req_id: str, keyframe: Keyframes, *, end: bool = False) -> bytes:
        """Return the envelope with one keyframe, shape (1, 120)."""
        return encode(MotionResponse(self.connection_id, req_id, end, keyframe))

    def _show_idle(self) -> ShowPacket:
        """Return the packet of idle time."""
        return self._show(RoomPacket(PacketFlag.IDLE, None, self._encode_keyframe("", _IDLE_KEYFRAME)))

    def _show(self, packet: RoomPacket) -> ShowPacket:
        """Return the output that shows this packet."""
        return ShowPacket(write_packet(packet, compress=self._compress))
