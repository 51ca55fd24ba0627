"""Relays that are wrong in exactly one named way: the judge is judged by them."""

from collections.abc import Callable
from dataclasses import replace

from spatius_sim.miniatures.relay.wrong_with_clients import BEHAVIOUR_MINIATURES
from spatius_sim.miniatures.relay.wrong_with_faults import FAULT_MINIATURES
from spatius_sim.model.relay.commands import RelayCommand, Tell, WatchSilence
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import (
    SAMPLE_RATE,
    TOKEN_LIFE_SECONDS,
    PlainRelay,
    RelaySession,
    RelayTurn,
    make_turn_id,
)
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.wires.events import ClientAction, Motion, Ready, SpeakEnd

_DAY_SECONDS = 24 * 3600


class RewritesReqId(PlainRelay):
    """Re-encodes every payload under a req_id of its own."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        own = encode(MotionResponse(message.connection_id, turn.turn_id, message.end, message.keyframes))
        return super().send_motion_to_client(turn, own, message)


class SaysNothingMeanwhile(PlainRelay):
    """Sends an empty list of motion if none has come half a second after the end of the speech."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._without_motion: dict[str, RelayTurn] = {}

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        turn = self._speaking_turns.get(client)
        commands = super().on_client_action(client, action)
        if turn is None or not isinstance(action, SpeakEnd):
            return commands
        gap = f"gap of {turn.turn_id}"
        self._without_motion[gap] = turn
        return [*commands, WatchSilence(gap, 0.5)]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        turn = self._without_motion.pop(upstream, None)
        if turn is None:
            return super().on_server_silent(upstream)
        return [] if turn.payload_count or turn.is_over else [self.tell_motion(turn, last=False)]


class LosesLastPayload(PlainRelay):
    """Drops the payload with the end mark unless it is the only payload, and marks an empty list instead."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        if message.end and turn.payload_count > 0:
            return [self.tell_motion(turn, last=True)]
        return super().send_motion_to_client(turn, raw, message)


class SwapsPayloads(PlainRelay):
    """Delivers the first payload of a turn after the second."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        if turn.payload_count == 0 and not message.end:
            turn.held_payloads.append(raw)
            return []
        first, turn.held_payloads = turn.held_payloads, []
        return [self.tell_motion(turn, raw, *first, last=message.end)]


class LosesAudio(PlainRelay):
    """Passes on all but the first 20 ms of every longer chunk."""

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        lost = 640 if len(pcm) > 640 else 0
        return super().send_audio_to_client(turn, pcm[lost:])


class SendsMotionFirst(PlainRelay):
    """Holds a turn's audio back until its first motion has gone out."""

    def may_start(self, turn: RelayTurn) -> bool:
        return turn.payload_count > 0

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        audio, turn.held_until_start = turn.held_until_start, []
        return super().send_motion_to_client(turn, raw, message) + audio


class NeverMarksAudioEnd(PlainRelay):
    """Leaves the last audio of a turn unmarked."""

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        return []


class SendsEmptyFrames(PlainRelay):
    """Sends an empty list before the first payload, as if to say that motion is about to come."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        empty = [self.tell_motion(turn, last=False)] if turn.payload_count == 0 else []
        return empty + super().send_motion_to_client(turn, raw, message)


class MarksMotionAtOnce(PlainRelay):
    """Sends an empty list with the end mark after the first audio of a turn, on a wire without turn ids."""

    policy = RelayPolicy(names_turns=False)

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        mark = [self.tell_motion(turn, last=True)] if turn.spoken_bytes == len(pcm) else []
        return super().send_audio_to_client(turn, pcm) + mark


class MarksBeforeMotion(PlainRelay):
    """Sends an empty list with the end mark before the first payload of a turn."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        mark = [self.tell_motion(turn, last=True)] if turn.payload_count == 0 else []
        return mark + super().send_motion_to_client(turn, raw, message)


class MotionInEarlierTurn(PlainRelay):
    """Labels the motion of every later turn with the turn before it."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        label = make_turn_id(turn.client_id, max(0, turn.number - 1))
        return [Tell(turn.client_id, Motion((raw,), message.end, label))]


class BroadcastsMotion(PlainRelay):
    """Sends every payload to all clients that are connected."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        own = super().send_motion_to_client(turn, raw, message)
        others = [client for client in self.clients if client != turn.client_id]
        return own + [Tell(client, Motion((raw,), message.end)) for client in others]


class SendsMotionToNewestClient(PlainRelay):
    """Keeps one client for all, the one that came last, and sends the motion of every turn there."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        newest = self.clients[-1] if self.clients else turn.client_id
        own = super().send_motion_to_client(turn, raw, message)
        return [
            replace(command, client_id=newest) if isinstance(command, Tell) else command for command in own
        ]


class HandsOutApiKey(PlainRelay):
    """Greets every client with the API key."""

    def greet(self, client: str) -> list[RelayCommand]:
        return [Tell(client, Ready(self.api_key, SAMPLE_RATE, SAMPLE_RATE))]


class HandsOutKeyInHex(PlainRelay):
    """Greets every client with the API key in hex."""

    def greet(self, client: str) -> list[RelayCommand]:
        return [Tell(client, Ready(self.api_key.encode().hex(), SAMPLE_RATE, SAMPLE_RATE))]


class HandsOutKeyInCapitals(PlainRelay):
    """Greets every client with the API key in upper case."""

    def greet(self, client: str) -> list[RelayCommand]:
        return [Tell(client, Ready(self.api_key.upper(), SAMPLE_RATE, SAMPLE_RATE))]


class AsksForTwoDays(PlainRelay):
    """First asks for a token that lives two days, and for an hour only when that was refused."""

    policy = RelayPolicy(attempts=2)

    def token_life(self, attempt: int) -> int:
        return 2 * _DAY_SECONDS if attempt == 0 else TOKEN_LIFE_SECONDS


class TriesOddRate(PlainRelay):
    """First configures 11,025 Hz, and 16,000 Hz only when that was refused."""

    policy = RelayPolicy(attempts=2)

    def sample_rate(self, session: RelaySession) -> int:
        return 11025 if session.failed_attempts == 0 else super().sample_rate(session)


class ConfiguresHalfTheRate(PlainRelay):
    """Configures half the rate of the speech, and passes the same bytes on."""

    def sample_rate(self, session: RelaySession) -> int:
        return super().sample_rate(session) // 2


class HearsOneRate(PlainRelay):
    """Configures 16,000 Hz whatever rate its client names, and passes the same bytes on."""

    wire = "binary-header"

    def sample_rate(self, session: RelaySession) -> int:
        return SAMPLE_RATE


class SharesOneRate(PlainRelay):
    """Configures every session with the rate that the newest client named."""

    wire = "binary-header"

    def sample_rate(self, session: RelaySession) -> int:
        return self.rates.get(self.clients[-1], SAMPLE_RATE)


class NeverEndsUpstream(PlainRelay):
    """Never sends end=true up."""

    def make_audio_end(self, turn: RelayTurn) -> AudioInput:
        return AudioInput(turn.req_id)


class SendsInDataPackets(PlainRelay):
    """Publishes by itself in a room, each message in one data packet: longer answers lose their motion."""

    in_data_packets = True


RELAY_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "E-LIMIT": (SendsInDataPackets,),
    "R-MOTION-VERBATIM": (RewritesReqId,),
    "R-MOTION-ORDER": (SwapsPayloads,),
    "R-AUDIO-COMPLETE": (LosesAudio,),
    "R-AUDIO-FIRST": (SendsMotionFirst,),
    "R-END-AUDIO": (NeverMarksAudioEnd,),
    "R-SECRETS": (HandsOutApiKey, HandsOutKeyInHex, HandsOutKeyInCapitals),
    "U-TOKEN": (AsksForTwoDays,),
    "U-CONFIGURE": (TriesOddRate,),
    "U-AUDIO-END": (NeverEndsUpstream,),
    "U-RATE": (ConfiguresHalfTheRate, HearsOneRate, SharesOneRate),
    **FAULT_MINIATURES,
    **BEHAVIOUR_MINIATURES,
    "R-TURNS": (MotionInEarlierTurn, *BEHAVIOUR_MINIATURES["R-TURNS"]),
    "R-MOTION-COMPLETE": (LosesLastPayload, *BEHAVIOUR_MINIATURES["R-MOTION-COMPLETE"]),
    "R-ISOLATION": (BroadcastsMotion, SendsMotionToNewestClient, *BEHAVIOUR_MINIATURES["R-ISOLATION"]),
    "R-CONVERSATION": (
        SendsEmptyFrames,
        MarksBeforeMotion,
        MarksMotionAtOnce,
        SaysNothingMeanwhile,
        *FAULT_MINIATURES["R-CONVERSATION"],
        *BEHAVIOUR_MINIATURES["R-CONVERSATION"],
    ),
}
"""The relays that break each rule, and no other rule."""
