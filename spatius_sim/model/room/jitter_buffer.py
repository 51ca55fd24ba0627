"""The client's side of a room, with its published constants: packets come in as the network brings them, and
every 40 ms one frame is shown (ios-rtc; docs:livekit names 3 s and 5/40 frames)."""

from dataclasses import dataclass, field
from enum import StrEnum

from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket

BUFFER_FRAMES = 4
FRAMES_TO_FILL = 2
SLOT_SECONDS = 0.04
DELAY_SECONDS = FRAMES_TO_FILL * SLOT_SECONDS
STALLED_SECONDS = 5.0
TRANSITION_IN_FRAMES = 8
TRANSITION_OUT_FRAMES = 40


class Scene(StrEnum):
    """What the client shows in a slot."""

    IDLE = "idle"
    SPEECH = "speech"
    HELD = "held"
    """The last keyframe once more: the next one is late."""
    RETURN = "return"
    """The return from speech to idle."""


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """What the client shows in one slot. `frame_seq` is that of the keyframe, None if there is no keyframe.
    `blend` is the share of speech in the frame, 0 to 1: at the beginning of speech it grows over
    TRANSITION_IN_FRAMES slots, and during the return to idle it falls."""

    scene: Scene
    frame_seq: int | None = None
    blend: float = 0.0


@dataclass(slots=True)
class JitterBuffer:
    """Orders the keyframes of a conversation by frameSeq, and shows one in each slot. Counters: `late`
    keyframes that came after their slot, `doubled` ones, and those that were `dropped` because the buffer was
    full."""

    late: int = 0
    doubled: int = 0
    dropped: int = 0
    _frames: dict[int, RoomPacket] = field(default_factory=dict)
    _speaking: bool = False
    _filled: bool = False
    """Whether keyframes may be shown: FRAMES_TO_FILL of them, or the end, have come since the last gap."""
    _shown_seq: int = -1
    _shown_frame_count: int = 0
    _end_seq: int | None = None
    _return_frames_left: int = 0
    _slots_without_packet: int = 0

    def take_packet(self, packet: RoomPacket) -> None:
        """Take a packet that the network has brought into the jitter buffer. A packet with a keyframe is kept
        until it is due; one that comes twice or too late is only counted. If the buffer is full, the oldest
        keyframe is dropped. A packet of the transition back to idle ends a conversation that has no END."""
        self._slots_without_packet = 0
        if packet.flags & PacketFlag.TRANSITION_END and self._speaking and self._end_seq is None:
            self._end_seq = max(self._frames, default=self._shown_seq)
        if packet.frame_seq is None:
            return
        if packet.flags & PacketFlag.START:
            self._begin_conversation()
        if not self._speaking:
            self.late += 1  # The conversation was joined in its middle, or is over.
            return
        if packet.flags & PacketFlag.END:
            self._end_seq = packet.frame_seq
        if packet.frame_seq in self._frames:
            self.doubled += 1
        elif packet.frame_seq <= self._shown_seq:
            self.late += 1
        else:
            self._frames[packet.frame_seq] = packet
            if len(self._frames) > BUFFER_FRAMES:
                del self._frames[min(self._frames)]
                self.dropped += 1

    def show_next_frame(self) -> ShownFrame:
        """Return the frame that the client shows in the next slot of 40 ms: the next keyframe of speech, the
        last keyframe again (HELD), the return to idle, or idle. Speech begins, and goes on after a gap, only
        when the jitter buffer holds FRAMES_TO_FILL keyframes, or the end of the conversation has come. If no
        packet has come for 5 s, forget the conversation and show idle."""
        self._slots_without_packet += 1
        if not self._speaking:
            return self._take_return_frame()
        if self._slots_without_packet * SLOT_SECONDS > STALLED_SECONDS:
            self._forget_conversation()
            return ShownFrame(Scene.IDLE)
        if not self._filled:
            self._filled = len(self._frames) >= FRAMES_TO_FILL or self._end_seq is not None
        if self._filled and self._frames:
            return self._take_speech_frame()
        self._filled = False
        if self._end_seq is not None and self._shown_seq >= self._end_seq:
            self._begin_return()
            return self._take_return_frame()
        return ShownFrame(Scene.HELD, self._shown_seq if self._shown_seq >= 0 else None, self._speech_share())

    def _begin_conversation(self) -> None:
        """Begin a conversation in the jitter buffer, and forget an older conversation."""
        self._forget_conversation()
        self._speaking = True

    def _forget_conversation(self) -> None:
        """Forget the current conversation and all its keyframes, so that the jitter buffer is empty and
        idle."""
        self._frames.clear()
        self._speaking = self._filled = False
        self._shown_seq, self._shown_frame_count, self._end_seq = -1, 0, None
        self._return_frames_left = 0

    def _begin_return(self) -> None:
        """End the conversation, and begin the avatar's return from speech to idle."""
        self._forget_conversation()
        self._return_frames_left = TRANSITION_OUT_FRAMES

    def _take_speech_frame(self) -> ShownFrame:
        """Take the keyframe with the lowest frameSeq out of the jitter buffer, and return the frame that
        shows it. If it is the last keyframe of the conversation, begin the avatar's return to idle."""
        frame_seq = min(self._frames)
        del self._frames[frame_seq]
        self._shown_seq = frame_seq
        self._shown_frame_count += 1
        frame = ShownFrame(Scene.SPEECH, frame_seq, self._speech_share())
        if self._end_seq is not None and frame_seq >= self._end_seq:
            self._begin_return()
        return frame

    def _take_return_frame(self) -> ShownFrame:
        """Return the next frame of the avatar's return from speech to idle, and count it. If the return is
        over, return an idle frame."""
        if not self._return_frames_left:
            return ShownFrame(Scene.IDLE)
        self._return_frames_left -= 1
        return ShownFrame(Scene.RETURN, None, self._return_frames_left / TRANSITION_OUT_FRAMES)

    def _speech_share(self) -> float:
        """Return the share of speech in the frame that the client shows, 0 to 1."""
        return min(1.0, self._shown_frame_count / TRANSITION_IN_FRAMES)
