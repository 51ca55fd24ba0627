"""Clients that are wrong in strictSync alone, and those that trip over some kinds of unknown fields."""

from collections.abc import Sequence
from typing import Any

from spatius_sim.miniatures.client import wrong_at_edges as at_edges
from spatius_sim.miniatures.client import wrong_clients as plain
from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.model.client.playback_states import PlaybackEvent
from spatius_sim.trace.decoder_events import StarvationMode, StateReason

_SECOND_NS = 1_000_000_000
_KNOWN_FIELDS = {1: 0, 2: 2, 3: 0, 4: 2, 6: 2}
"""The wire types of the fields of an envelope and of a response."""


def _wrong_in_strict_sync(brain: type[ClientDecoder]) -> type[ClientDecoder]:
    """Return the clients of this class that are honest in the other mode."""

    def initialize(self: ClientDecoder, *arguments: Any, **named: Any) -> None:
        brain.__init__(self, *arguments, **named)
        if self._mode is not StarvationMode.STRICT_SYNC:
            object.__setattr__(self, "__class__", ClientDecoder)

    members = {"__init__": initialize, "__doc__": f"{brain.__doc__} It does so in strictSync alone."}
    return type(f"{brain.__name__}InStrictSync", (brain,), members)


class IgnoresPause(ClientDecoder):
    """Plays on when it is paused."""

    def pause(self) -> None:
        pass


class IgnoresPauseInStall(ClientDecoder):
    """Plays on if it is paused while its audio waits for motion."""

    def pause(self) -> None:
        if not self.stalled:
            super().pause()


class MotionEndsPauseInStall(ClientDecoder):
    """Goes on when motion comes, though it was paused while its audio waited for motion."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        before = conversation.keyframes
        super()._accept_payload(conversation, payload)
        if conversation.stalled and conversation.keyframes > before:
            self._change_state(PlaybackEvent.RESUME, StateReason.USER_ACTION)


class ForeignMotionEndsStall(ClientDecoder):
    """Plays 400 ms without motion if motion with another id comes while its audio waits."""

    _plays_until = 0
    _by_an_empty_list = False

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self._conversation
        is_foreign = current is not None and current.conversation_id != conversation_id
        if (
            current is not None
            and current.stalled
            and is_foreign
            and bool(frames) is not self._by_an_empty_list
        ):
            self._plays_until = current.played_nanosamples + 2 * _SECOND_NS * self._sample_rate // 5
        super().yield_frames_data(frames, conversation_id)

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        return max(super()._find_playable_end(conversation), self._plays_until)

    def _start_conversation(self) -> DecodedConversation:
        self._plays_until = 0
        return super()._start_conversation()


class ForeignEmptyListEndsStall(ForeignMotionEndsStall):
    """Plays 400 ms without motion if an empty list with another id comes while its audio waits."""

    _by_an_empty_list = True


class SkipsTimeOfStall(ClientDecoder):
    """Leaves out as much of its audio as it has waited for motion."""

    _owed = 0

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        before = conversation.played_nanosamples
        super()._play_audio(conversation, passed_ns)
        if conversation.stalled:
            self._owed += before + passed_ns * self._sample_rate - conversation.played_nanosamples

    def _set_stalled(self, conversation: DecodedConversation, stalled: bool) -> None:
        ends = conversation.stalled and not stalled
        super()._set_stalled(conversation, stalled)
        if ends:
            end = self._find_playable_end(conversation)
            conversation.played_nanosamples = min(end, conversation.played_nanosamples + self._owed)
            self._owed = 0

    def _start_conversation(self) -> DecodedConversation:
        self._owed = 0
        return super()._start_conversation()


def _read_number(raw: bytes, at: int) -> tuple[int, int, int]:
    """Return the varint at this place, how many bytes it has, and the place after it."""
    end = at
    while raw[end] & 128:
        end += 1
    number = sum((byte & 127) << 7 * place for place, byte in enumerate(raw[at : end + 1]))
    return number, end + 1 - at, end + 1


def _size_fields(raw: bytes) -> list[tuple[int, int, int, int]]:
    """Return each field of an envelope: its number, its wire type, the bytes of its tag, and those of its
    value, which are those of the number itself or of the length."""
    fields: list[tuple[int, int, int, int]] = []
    at = 0
    while at < len(raw):
        tag, tag_size, at = _read_number(raw, at)
        wire_type, size = tag & 7, 0
        if wire_type in (0, 2):
            value, size, at = _read_number(raw, at)
            at += value if wire_type == 2 else 0
            size = value if wire_type == 2 else size
        else:
            at += {1: 8, 5: 4}.get(wire_type, 0)
        fields.append((tag >> 3, wire_type, tag_size, size))
    return fields


class TripsOverFields(ClientDecoder):
    """Drops a payload whose envelope has an unknown field that its reader cannot skip."""

    def cannot_skip(self, wire_type: int, tag_size: int, size: int) -> bool:
        """Return whether it cannot skip a field of this wire type, whose tag has `tag_size` bytes, and whose
        value has `size`."""
        raise NotImplementedError

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        try:
            fields = _size_fields(payload)
        except IndexError:
            fields = []
        if not any(
            self.cannot_skip(wire_type, tag_size, size)
            for number, wire_type, tag_size, size in fields
            if _KNOWN_FIELDS.get(number) != wire_type
        ):
            super()._accept_payload(conversation, payload)


class TripsOverLongNumbers(TripsOverFields):
    """Cannot skip a number of more than five bytes, as a negative one is."""

    def cannot_skip(self, wire_type: int, tag_size: int, size: int) -> bool:
        return wire_type == 0 and size > 5


class TripsOverHighFieldNumbers(TripsOverFields):
    """Cannot skip a field whose number is 2048 or more."""

    def cannot_skip(self, wire_type: int, tag_size: int, size: int) -> bool:
        return tag_size > 2


class TripsOverLongTexts(TripsOverFields):
    """Cannot skip a field that is empty, or longer than 127 bytes."""

    def cannot_skip(self, wire_type: int, tag_size: int, size: int) -> bool:
        return wire_type == 2 and not 0 < size < 128


class TellsGapsAsStalls(ClientDecoder):
    """Reports a stall whenever it has played all the audio that has come, whatever it waits for."""

    @property
    def stalled(self) -> bool:
        current = self._conversation
        has_played_all = current is not None and current.played_nanosamples == current.samples * _SECOND_NS
        return super().stalled or (has_played_all and self.samples_played > 0)


class StopsAtUnknownFields(ClientDecoder):
    """Reads no further in an envelope when it has come to an unknown field."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if payload[:1] in (b"\x08", b"\xff"):
            super()._accept_payload(conversation, payload)


class TakesUnknownFieldsForJunk(plain.RefusesUnknownFields):
    """Goes audio-only, as after junk, if a payload has a field it does not know."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        before = conversation.keyframes
        super()._accept_payload(conversation, payload)
        if conversation.keyframes == before and not conversation.abnormal:
            self._switch_to_audio_only(conversation)


STRICT_MINIATURES: dict[str, tuple[type[ClientDecoder], ...]] = {
    "C-MISMATCH": (ForeignMotionEndsStall,),
    "C-PAUSE": (IgnoresPauseInStall, MotionEndsPauseInStall),
    "C-EMPTY-MISMATCH": (ForeignEmptyListEndsStall,),
    "C-STARVE": (SkipsTimeOfStall, TellsGapsAsStalls),
    "C-UNKNOWN": (
        TripsOverLongNumbers,
        TripsOverHighFieldNumbers,
        TripsOverLongTexts,
        StopsAtUnknownFields,
        TakesUnknownFieldsForJunk,
    ),
}
_WRONG_IN_BOTH_MODES: dict[str, tuple[type[ClientDecoder], ...]] = {
    "C-ID": (plain.NamesEveryChunk,),
    "C-ID-NEW": (plain.ReusesIds,),
    "C-ID-CURRENT": (plain.KeepsIdOverInterrupt,),
    "C-MISMATCH": (plain.ComparesIdPrefixes, at_edges.ForgetsMotionOnForeignJunk),
    "C-EARLY": (plain.KeepsEarlyMotion,),
    "C-INTERRUPT": (plain.KeepsMotionOverInterrupt,),
    "C-PAUSE": (IgnoresPause, plain.RunsOnInPause, at_edges.DropsMotionThatComesInPause),
    "C-EMPTY": (plain.StopsOnEmpty,),
    "C-EMPTY-STICKY": (plain.ForgetsAudioOnly, at_edges.PauseEndsAudioOnly),
    "C-EMPTY-SCOPE": (plain.AudioOnlyForEver,),
    "C-EMPTY-MISMATCH": (plain.SwitchesOnForeignEmpty,),
    "C-ABNORMAL": (plain.StopsOnUndecodable,),
    "C-NOEND": (plain.GoesIdleWithoutEnd,),
    "C-STATES": (plain.StaysPlaying, plain.EndsEarly),
    "C-UNKNOWN": (plain.RefusesUnknownFields,),
    "C-MATCH": (plain.ComparesReqId, plain.PutsNewMotionFirst),
    "C-SYNC": (plain.LagsBehind,),
}
STRICT_MINIATURES |= {
    rule_id: (*STRICT_MINIATURES.get(rule_id, ()), *map(_wrong_in_strict_sync, brains))
    for rule_id, brains in _WRONG_IN_BOTH_MODES.items()
}
"""Wrong clients by the rule that must name them."""
