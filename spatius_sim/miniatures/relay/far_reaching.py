"""Relays that are wrong in exactly one way, but whose one fault breaks much else in a whole run."""

from collections.abc import Callable
from dataclasses import replace

from spatius_sim.miniatures.relay.honest_relays import KEEPS_ITS_SESSION, MARKS_LAST_CHUNK, NAMES_NO_TURNS
from spatius_sim.miniatures.relay.seldom_wrong import LosesInThirdTurn
from spatius_sim.miniatures.relay.wrong_with_clients import PassesStaleMotionOn
from spatius_sim.miniatures.relay.wrong_with_faults import EndsAudioWithMotion
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.messages import MotionResponse

_PACKET_BYTES = 6400


class LosesMotionFromThirdTurn(PlainRelay):
    """Passes no motion on from a client's third turn on."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        return [] if turn.number >= 2 else super().send_motion_to_client(turn, raw, message)


class LosesLastFromThirdTurn(LosesInThirdTurn):
    """Drops the last payload of every turn of a client from the third turn on."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        if turn.number >= 2 and message.end and turn.payload_count > 0:
            return [self.tell_motion(turn, last=True)]
        return PlainRelay.send_motion_to_client(self, turn, raw, message)


class StripsUnknownFields(PlainRelay):
    """Decodes every payload and encodes it anew, which loses the fields that it does not know."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        return super().send_motion_to_client(turn, encode(decode(raw)), message)


class PassesStaleMotionOnItsSession(PassesStaleMotionOn):
    """Keeps one session for all turns of a client, and passes all motion on as the newest turn's."""

    policy = replace(KEEPS_ITS_SESSION, names_turns=False)

    def on_server_frame(self, upstream: str, raw: bytes, value: object) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is not None and session.turn is not None and isinstance(value, MotionResponse):
            value = replace(value, req_id=session.turn.req_id)
        return super().on_server_frame(upstream, raw, value)  # type: ignore[arg-type]


class NeverWorksAgain(PlainRelay):
    """Connects for nobody any more once motion has failed."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._broken = False

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._broken = True
        return super().tell_failure(turn, why)

    def open_session(self, session: RelaySession) -> list[RelayCommand]:
        return [] if self._broken else super().open_session(session)


class LosesOrder(PlainRelay):
    """Sends each payload after the one that follows, and ends a turn with what Motion Server sends last."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        before, turn.held_payloads = turn.held_payloads, [raw]
        if message.end:
            turn.held_payloads = []
            return [self.tell_motion(turn, raw, *before, last=True)]
        return [self.tell_motion(turn, *before, last=False)] if len(before) else []


class LosesTheTail(PlainRelay):
    """Sends the client whole packets of 200 ms, and loses what is left at the end of a turn."""

    policy = replace(MARKS_LAST_CHUNK, audio_chunk_bytes=_PACKET_BYTES)

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        turn.held_audio = [chunk for chunk in turn.held_audio if len(chunk) == _PACKET_BYTES]
        return super().end_audio_to_client(turn)


class EndsUnnamedAudioWithMotion(EndsAudioWithMotion):
    """Names no turns, and marks the end of a turn's audio when its motion has ended."""

    policy = NAMES_NO_TURNS


FAR_REACHING_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-MOTION-COMPLETE": (LosesMotionFromThirdTurn, LosesLastFromThirdTurn),
    "R-MOTION-VERBATIM": (StripsUnknownFields,),
    "R-MOTION-ORDER": (LosesOrder,),
    "R-STALE": (PassesStaleMotionOnItsSession,),
    "R-RECOVER": (NeverWorksAgain,),
    "R-AUDIO-COMPLETE": (LosesTheTail,),
    "R-FALLBACK": (EndsUnnamedAudioWithMotion,),
}
"""The relays that break each rule, and no other rule, though their fault shows in many places."""
