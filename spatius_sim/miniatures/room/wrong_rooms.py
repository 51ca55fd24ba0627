"""Egresses that are wrong in exactly one named way, in a virtual room: the E rules are judged by them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from spatius_sim.model.room.room_playback import PlaySound, RoomOutput, ShowPacket, TellFinished
from spatius_sim.model.scenario.scenario import CloseWith, FaultAction, SendError, Stall
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket, read_packet, write_packet
from spatius_sim.trace.events import Joined
from spatius_sim.trace.room_events import PlaybackTold, RoomEvent, TrackKind, TrackSeen
from spatius_sim.virtual.virtual_room import VirtualRoom


class JoinsLate(VirtualRoom):
    """Joins ten and a half seconds after it was asked."""

    def join(self) -> None:
        self._loop.call_later(10.5, super().join)


class JoinsUnderAnotherName(VirtualRoom):
    """Joins as another participant."""

    def _emit(self, what: Joined | RoomEvent) -> None:
        super()._emit(replace(what, publisher="avatar-2") if isinstance(what, Joined) else what)


class ForgetsAttributes(VirtualRoom):
    """Joins without the extra attributes."""

    def _emit(self, what: Joined | RoomEvent) -> None:
        super()._emit(replace(what, attributes="") if isinstance(what, Joined) else what)


class StaysForEver(VirtualRoom):
    """Never leaves."""

    def leave(self) -> None:
        return


class PublishesTwoCameras(VirtualRoom):
    """Has a second video track."""

    def join(self) -> None:
        super().join()
        self._emit(TrackSeen(self._publisher, TrackKind.CAMERA))


class HasNoMicrophone(VirtualRoom):
    """Publishes its sound in a track of another source."""

    def _emit(self, what: Joined | RoomEvent) -> None:
        if isinstance(what, TrackSeen) and what.kind is TrackKind.MICROPHONE:
            what = replace(what, kind=TrackKind.OTHER)
        super()._emit(what)


class GivesNoKeyFrame(VirtualRoom):
    """Ignores requests for key frames."""

    def show_key_frame(self) -> None:
        return


class Changing(VirtualRoom):
    """Changes what is played."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        """What is played instead of this."""
        return [output]

    def play(self, outputs: Sequence[RoomOutput]) -> None:
        super().play([changed for output in outputs for changed in self.change(output)])


class ChangingPackets(Changing):
    """Changes packets."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        if not isinstance(output, ShowPacket):
            return [output]
        return [ShowPacket(write_packet(packet)) for packet in self.change_packet(read_packet(output.packet))]

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        """What is shown instead of this packet."""
        return [packet]


class LosesKeyframes(ChangingPackets):
    """Shows no keyframe number 7."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        return [] if packet.frame_seq == 7 else [packet]


class DoublesKeyframes(ChangingPackets):
    """Shows keyframe number 7 twice."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        return [packet, packet] if packet.frame_seq == 7 else [packet]


class CountsFromOne(ChangingPackets):
    """Numbers keyframes from 1."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        return [packet if packet.frame_seq is None else replace(packet, frame_seq=packet.frame_seq + 1)]


class MarksNoStart(ChangingPackets):
    """Gives no START."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        return [replace(packet, flags=packet.flags & ~PacketFlag.START)]


class EndsTwice(ChangingPackets):
    """Gives END on keyframe number 7, too."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        return [replace(packet, flags=packet.flags | PacketFlag.END) if packet.frame_seq == 7 else packet]


class NeverIdles(ChangingPackets):
    """Shows nothing in idle time."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        return [] if packet.flags & PacketFlag.IDLE else [packet]


class AltersKeyframes(ChangingPackets):
    """Shows keyframe number 7 with another jaw."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        message = decode(packet.message)
        if packet.frame_seq != 7 or not isinstance(message, MotionResponse):
            return [packet]
        return [replace(packet, message=encode(replace(message, keyframes=message.keyframes + 1)))]


class PlaysSoundLate(Changing):
    """Plays every sound 0.3 s after its keyframe."""

    def play(self, outputs: Sequence[RoomOutput]) -> None:
        late = [output for output in outputs if isinstance(output, PlaySound | TellFinished)]
        super().play([output for output in outputs if output not in late])
        self._loop.call_later(0.3, super().play, late)


class LosesSoundInBetween(Changing):
    """Plays the first half second of each speech, and the rest is silent."""

    played = 0

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        if isinstance(output, TellFinished):
            self.played = 0
        if not isinstance(output, PlaySound):
            return [output]
        self.played += 1
        return [output if self.played < 13 else PlaySound(bytes(len(output.pcm)))]


class TellsTheWrongPosition(Changing):
    """Says that half of it was played."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        return [replace(output, position=output.position / 2) if isinstance(output, TellFinished) else output]


class TellsTwice(Changing):
    """Says twice that a playback is over."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        return [output, output] if isinstance(output, TellFinished) and not output.interrupted else [output]


class TellsRubbish(VirtualRoom):
    """Tells a position that is none."""

    def _emit(self, what: Joined | RoomEvent) -> None:
        if isinstance(what, PlaybackTold) and "position" in what.payload:
            what = replace(what, payload='{"playback_position": "soon", "interrupted": false}')
        super()._emit(what)


class HidesInterrupts(Changing):
    """Says of an interrupted playback that it was played to its end."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        return [replace(output, interrupted=False) if isinstance(output, TellFinished) else output]


class AnswersRefusals(VirtualRoom):
    """Answers a session whose room cannot be joined in its own way, and confirms it without one."""

    on_refusal: ClassVar[tuple[FaultAction, ...]] = ()
    """What happens at the configuration."""


class LetsEverybodyIn(AnswersRefusals):
    """Confirms a session whose room cannot be joined."""


class TellsItsToken(AnswersRefusals):
    """Repeats the token of a room that cannot be joined in the text of its error."""

    on_refusal = (SendError(16, "unauthorized: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhdmF0YXIifQ.c2ln"),)


class JoinsNoRoom(LetsEverybodyIn):
    """Joins no room, so it never learns that one cannot be joined."""

    def join(self) -> None:
        return


class NeverAnswersRefusals(AnswersRefusals):
    """Says nothing to a session whose room cannot be joined."""

    on_refusal = (Stall(),)


class HangsUpOnRefusals(AnswersRefusals):
    """Closes a session whose room cannot be joined, without an error."""

    on_refusal = (CloseWith(1011),)


class RefusesWithAnotherCode(AnswersRefusals):
    """Refuses a session whose room cannot be joined with the code 5."""

    on_refusal = (SendError(5, "not found"),)


ROOM_MINIATURES: dict[str, tuple[type[VirtualRoom] | str, ...]] = {
    "E-REFUSED": (
        LetsEverybodyIn,
        TellsItsToken,
        RefusesWithAnotherCode,
        NeverAnswersRefusals,
        HangsUpOnRefusals,
    ),
    "E-JOIN": (
        "egress-never-joins",
        "handshake-silent",
        JoinsLate,
        JoinsNoRoom,
        JoinsUnderAnotherName,
        ForgetsAttributes,
    ),
    "E-LEAVE": ("egress-leaves-mid-turn", StaysForEver),
    "E-TRACKS": (PublishesTwoCameras, HasNoMicrophone),
    "E-LATE": (GivesNoKeyFrame,),
    "E-SOUND": ("egress-mute", LosesSoundInBetween),
    "E-COUNT": ("egress-no-motion", LosesKeyframes),
    "E-ORDER": (DoublesKeyframes, CountsFromOne),
    "E-MARKS": ("egress-no-end", MarksNoStart, EndsTwice, NeverIdles),
    "E-VERBATIM": (AltersKeyframes,),
    "E-SYNC": (PlaysSoundLate,),
    "E-PLAYBACK": (
        "egress-no-finished",
        "egress-finished-early",
        TellsTheWrongPosition,
        TellsTwice,
        TellsRubbish,
    ),
    "E-INTERRUPT": ("egress-ignores-interrupt", HidesInterrupts),
}
"""The rule that each wrong egress breaks, and it alone: a room, or a scenario by name."""
