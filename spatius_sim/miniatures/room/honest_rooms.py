"""Honest egresses that differ from ours, each in one way that no rule forbids, in a virtual room."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from spatius_sim.miniatures.room.wrong_rooms import AnswersRefusals, Changing, ChangingPackets
from spatius_sim.model.room.room_playback import PlaySound, RoomOutput, ShowPacket, TellFinished
from spatius_sim.model.scenario.scenario import FaultAction, SendError
from spatius_sim.model.server.egress_configuration import UNAUTHENTICATED, EgressFault
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket, read_packet, write_packet
from spatius_sim.subjects.virtual_rooms import VIRTUAL_ROOM
from spatius_sim.trace.events import Joined
from spatius_sim.trace.room_events import RoomEvent
from spatius_sim.virtual.virtual_room import VirtualRoom


class TellsOnTheSocket(VirtualRoom):
    """Has nobody to call in its room, and tells of the playback by responses without keyframes."""

    egress: ClassVar[LiveKitEgress] = replace(VIRTUAL_ROOM, extra_attributes=())


class JoinsAfterNineSeconds(VirtualRoom):
    """Joins nine seconds after it was asked."""

    def join(self) -> None:
        self._loop.call_later(9.0, super().join)


class LeavesThreeSecondsLater(VirtualRoom):
    """Leaves three seconds after its session has ended."""

    def leave(self) -> None:
        self._loop.call_later(3.0, super().leave)


class HasMoreAttributes(VirtualRoom):
    """Has an attribute that nobody asked for, and hides the one that is for itself."""

    def _emit(self, what: Joined | RoomEvent) -> None:
        if isinstance(what, Joined):
            shown = [line for line in what.attributes.splitlines() if "livekit_agent_identity" not in line]
            what = replace(what, attributes="\n".join([*shown, "version=2"]))
        super()._emit(what)


class GivesKeyFramesSeldom(VirtualRoom):
    """Gives a late viewer his key frame after a second and a half."""

    def show_key_frame(self) -> None:
        self._loop.call_later(1.5, super().show_key_frame)


class RefusesAsUnreachable(AnswersRefusals):
    """Says of a room that cannot be joined that it is not reached."""

    on_refusal: ClassVar[tuple[FaultAction, ...]] = (SendError(14, "the room is not reached"),)


class RefusesAsInvalid(AnswersRefusals):
    """Says of a room that cannot be joined that its configuration is wrong."""

    on_refusal: ClassVar[tuple[FaultAction, ...]] = (SendError(3, "the token is for another room"),)


class AnswersLikeARealRoom(VirtualRoom):
    """Says itself whom it lets in: its session is confirmed or refused only then, and shows something in idle
    time, too."""

    answers: ClassVar[bool] = True
    refusing: ClassVar[LiveKitEgress] = replace(VIRTUAL_ROOM, room_name="locked")

    def refusal(self) -> EgressFault | None:
        is_locked = self._room_name == self.refusing.room_name
        return EgressFault(UNAUTHENTICATED, "unauthorized: the room is locked") if is_locked else None


class PlaysEverythingLater(VirtualRoom):
    """Plays everything 150 ms later, also what an interrupt cuts off."""

    def play(self, outputs: Sequence[RoomOutput]) -> None:
        self._loop.call_later(0.15, super().play, outputs)


class PlaysSoundBehind(VirtualRoom):
    """Plays every sound 60 ms after its keyframe."""

    def play(self, outputs: Sequence[RoomOutput]) -> None:
        later = [output for output in outputs if isinstance(output, PlaySound | TellFinished)]
        super().play([output for output in outputs if output not in later])
        self._loop.call_later(0.06, super().play, later)


class HasNoise(Changing):
    """Plays a quiet noise below everything, as a lossy codec does."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        if not isinstance(output, PlaySound):
            return [output]
        levels = np.frombuffer(output.pcm, "<i2").astype(np.int32)
        noise = np.where(np.arange(len(levels)) % 2, 100, -100)
        return [PlaySound(np.clip(levels + noise, -32_768, 32_767).astype("<i2").tobytes())]


class IsQuieter(Changing):
    """Plays half as loud."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        if not isinstance(output, PlaySound):
            return [output]
        return [PlaySound((np.frombuffer(output.pcm, "<i2") // 2).astype("<i2").tobytes())]


class RoundsPositions(Changing):
    """Tells positions in whole tenths of a second."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        if not isinstance(output, TellFinished):
            return [output]
        return [replace(output, position=round(output.position, 1))]


class CompressesPackets(Changing):
    """Deflates every packet."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        if not isinstance(output, ShowPacket):
            return [output]
        return [ShowPacket(write_packet(read_packet(output.packet), compress=True))]


class SaysNoLength(Changing):
    """Writes another length into every header; readers take all bytes after it."""

    def change(self, output: RoomOutput) -> Sequence[RoomOutput]:
        if not isinstance(output, ShowPacket):
            return [output]
        raw = output.packet
        return [ShowPacket(raw[:1] + (1).to_bytes(4, "little") + raw[5:])]


class HasNoTransitions(ChangingPackets):
    """Goes from idle time to speech at once, and back."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        return [] if packet.flags & (PacketFlag.TRANSITION | PacketFlag.TRANSITION_END) else [packet]


class BlendsForLong(ChangingPackets):
    """Gives every transition five times."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        blends = packet.flags & (PacketFlag.TRANSITION | PacketFlag.TRANSITION_END)
        return [packet] * (5 if blends else 1)


class IdlesWithoutMotion(ChangingPackets):
    """Has nothing in its idle packets."""

    def change_packet(self, packet: RoomPacket) -> Sequence[RoomPacket]:
        return [replace(packet, message=b"") if packet.flags & PacketFlag.IDLE else packet]


HONEST_ROOMS: tuple[type[VirtualRoom], ...] = (
    VirtualRoom,
    TellsOnTheSocket,
    JoinsAfterNineSeconds,
    LeavesThreeSecondsLater,
    HasMoreAttributes,
    GivesKeyFramesSeldom,
    RefusesAsUnreachable,
    RefusesAsInvalid,
    AnswersLikeARealRoom,
    PlaysEverythingLater,
    PlaysSoundBehind,
    HasNoise,
    IsQuieter,
    RoundsPositions,
    CompressesPackets,
    SaysNoLength,
    HasNoTransitions,
    BlendsForLong,
    IdlesWithoutMotion,
)
"""Every rule on rooms is kept by each of them."""
