"""The smallest failures of the rules for rooms."""

from dataclasses import dataclass, field

from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    MotionResponse,
    ServerError,
)
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket, write_packet
from spatius_sim.tests.corpus.failures import breaks
from spatius_sim.tests.corpus.relay_failures import ANN, lost
from spatius_sim.tests.rules.traces import KEYFRAME, RATE, Dialogue, voice
from spatius_sim.trace.events import Awaited, Joined, Lane, Provocation, Provoked, Published, WaitEnded
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.room_events import (
    DataSeen,
    PacketSeen,
    PlaybackTold,
    RoomEvent,
    SoundHeard,
    TrackKind,
    TrackSeen,
    ViewerJoined,
)

ROOM = "room"
UP, REQ, AVATAR, FRAMES = "session-1", "request-1", "publisher", 5
EGRESS = LiveKitEgress("wss://room.invalid", room_name="room", publisher_id=AVATAR)
TICK = 0.04


@dataclass
class Scene:
    """One session with an egress, honest unless it is told otherwise."""

    said: Dialogue
    tracks: tuple[TrackKind, ...] = (TrackKind.CAMERA, TrackKind.MICROPHONE)
    numbers: tuple[int, ...] = tuple(range(FRAMES))
    marks: dict[int, PacketFlag] = field(
        default_factory=lambda: {0: PacketFlag.START, FRAMES - 1: PacketFlag.END}
    )
    position: float = FRAMES * TICK
    sound_late: float = 0.0
    mute: bool = False

    def room(self, what: Joined | Published | RoomEvent) -> None:
        self.said.happens(Lane.EGRESS, UP, what)

    def waited(self, what: Awaited) -> None:
        self.said.happens(Lane.KIT, UP, WaitEnded(what, True))

    def shows(self, packet: RoomPacket) -> None:
        self.room(PacketSeen(AVATAR, write_packet(packet)))

    def tells(self, position: float, *, interrupted: bool) -> None:
        answer = f'{{"playback_position": {position}, "interrupted": {str(interrupted).lower()}}}'
        self.room(PlaybackTold(AVATAR, "lk.playback_finished", answer))

    def opens(self) -> None:
        self.said.opened(UP)
        self.said.client_says(
            UP, ConfigureSession(RATE, egress_type=EgressType.LIVEKIT, livekit_egress=EGRESS)
        )

    def joins(self) -> None:
        self.opens()
        self.said.confirms(UP)
        self.room(Joined("room", AVATAR))
        self.waited(Awaited.ROOM)
        for kind in self.tracks:
            self.room(TrackSeen(AVATAR, kind))
        self.shows(RoomPacket(PacketFlag.IDLE, None, b"rest"))

    def begins(self) -> bytes:
        pcm = voice("room", FRAMES * KEYFRAME)
        self.said.client_says(UP, AudioInput(REQ, pcm, True))
        self.room(PlaybackTold(AVATAR, "lk.playback_started", "{}"))
        return pcm

    def plays(self, message: bytes = b"motion") -> None:
        pcm = self.begins()
        size = 2 * KEYFRAME
        heard = [bytes(size) if self.mute else pcm[at : at + size] for at in range(0, len(pcm), size)]
        for number in self.numbers:
            flags = self.marks.get(number, PacketFlag(0))
            self.shows(RoomPacket(flags, number, message))
            if not self.sound_late:
                self.room(SoundHeard(AVATAR, heard[number % FRAMES], RATE))
            self.said.passes(TICK)
        self.said.passes(self.sound_late)
        if self.sound_late or not self.numbers:
            for sound in heard:
                self.room(SoundHeard(AVATAR, sound, RATE))
        self.tells(self.position, interrupted=False)
        self.shows(RoomPacket(PacketFlag.IDLE, None, b"rest"))
        self.waited(Awaited.TURN)

    def told(self) -> None:
        self.joins()
        self.plays()


@breaks("E-REFUSED", ROOM)
def another_code_for_a_room_that_refuses(said: Dialogue) -> None:
    said.happens(Lane.KIT, UP, Provoked(Provocation.ROOM_REFUSES))
    Scene(said).opens()
    said.server_says(UP, ServerError("", "", 5, "not found"))


@breaks("E-JOIN", ROOM)
def nobody_joins(said: Dialogue) -> None:
    scene = Scene(said)
    scene.opens()
    said.confirms(UP)
    scene.waited(Awaited.ROOM)


@breaks("E-LEAVE", ROOM)
def it_stays_after_the_end(said: Dialogue) -> None:
    scene = Scene(said)
    scene.joins()
    said.closed(UP, by_kit=True)
    scene.waited(Awaited.HANG_UP)


@breaks("E-TRACKS", ROOM)
def a_second_camera(said: Dialogue) -> None:
    Scene(said, (TrackKind.CAMERA, TrackKind.CAMERA, TrackKind.MICROPHONE)).joins()


@breaks("E-LATE", ROOM)
def no_key_frame_for_a_late_viewer(said: Dialogue) -> None:
    scene = Scene(said)
    scene.told()
    scene.room(ViewerJoined("late-viewer"))


@breaks("E-SOUND", ROOM)
def nothing_is_heard(said: Dialogue) -> None:
    Scene(said, mute=True).told()


@breaks("E-COUNT", ROOM)
def no_keyframe_is_shown(said: Dialogue) -> None:
    Scene(said, numbers=()).told()


@breaks("E-ORDER", ROOM)
def a_keyframe_is_shown_twice(said: Dialogue) -> None:
    Scene(said, numbers=(0, 1, 2, 2, 3, 4)).told()


@breaks("E-MARKS", ROOM)
def no_end_is_marked(said: Dialogue) -> None:
    Scene(said, marks={0: PacketFlag.START}).told()


@breaks("E-VERBATIM", ROOM)
def other_keyframes_than_were_made(said: Dialogue) -> None:
    scene = Scene(said)
    scene.joins()
    made = said.payload(UP, REQ, FRAMES, end=True)
    motion = read_upstream(made)
    assert isinstance(motion, MotionResponse)
    scene.plays(said.payload(UP, REQ, 1, shade=-1.0))
    scene.room(Published("room", made, motion))


@breaks("E-SYNC", ROOM)
def the_sound_comes_late(said: Dialogue) -> None:
    Scene(said, sound_late=1.0).told()


@breaks("E-PLAYBACK", ROOM)
def another_position_is_told(said: Dialogue) -> None:
    Scene(said, position=9.0).told()


@breaks("E-INTERRUPT", ROOM)
def it_plays_on_after_an_interrupt(said: Dialogue) -> None:
    scene = Scene(said)
    scene.joins()
    scene.begins()
    scene.shows(RoomPacket(PacketFlag.START, 0, b"motion"))
    said.client_says(UP, Interrupt(REQ))
    said.passes(0.5)
    scene.shows(RoomPacket(PacketFlag(0), 1, b"motion"))
    scene.tells(0.04, interrupted=True)
    scene.waited(Awaited.SILENCE)


@breaks("E-LIMIT")
def a_payload_too_large_for_a_data_packet(said: Dialogue) -> None:
    said.happens(Lane.DOWNSTREAM, ANN, DataSeen("relay", 100))
    lost(said, 65_536)
