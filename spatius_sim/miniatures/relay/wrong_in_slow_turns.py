"""Relays that are wrong in exactly one way: it shows if speech, a handshake or motion is slow."""

from spatius_sim.miniatures.relay.honest_relays import MARKS_LAST_CHUNK
from spatius_sim.model.relay.commands import RelayCommand, WatchSilence
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.protocol.messages import ConfirmSession, Message, MotionResponse
from spatius_sim.trace.events import Undecodable
from spatius_sim.wires.events import ClientAction, SpeakEnd


class WaitsFromBeforeTheSpeechEnds(PlainRelay):
    """Does not begin to wait for motion anew when the speech ends, and so gives motion of slow speech up. Its
    wait ends in the middle between the end of such speech and its motion."""

    policy = RelayPolicy(silence_seconds=2.9)

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        commands = super().on_client_action(client, action)
        return _without_waits(commands) if isinstance(action, SpeakEnd) else commands


class WaitsFromBeforeTheConfirmation(PlainRelay):
    """Counts the time that its session takes to be confirmed as silence, and so gives late motion up."""

    def on_server_frame(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        commands = super().on_server_frame(upstream, raw, value)
        return _without_waits(commands) if isinstance(value, ConfirmSession) else commands


class WaitsOnceForAllMotion(PlainRelay):
    """Waits 1.5 s for all motion of a turn, although motion still comes, and gives the rest up."""

    def on_server_frame(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        commands = super().on_server_frame(upstream, raw, value)
        return _without_waits(commands) if isinstance(value, MotionResponse) else commands


class WaitsEightSecondsForAllMotion(WaitsOnceForAllMotion):
    """Waits 8 s for all motion of a turn, as a deadline for the whole answer does."""

    policy = RelayPolicy(silence_seconds=8.0)


class HoldsEachChunkBack(PlainRelay):
    """Holds each chunk of audio back until the next one comes, because the last one bears the end mark."""

    policy = MARKS_LAST_CHUNK

    def _take_full_chunks(self, turn: RelayTurn, pcm: bytes) -> list[bytes]:
        *full_chunks, last_chunk = [*turn.held_audio, pcm]
        turn.held_audio = [last_chunk]
        return full_chunks


def _without_waits(commands: list[RelayCommand]) -> list[RelayCommand]:
    """Return these commands without those that begin a wait anew."""
    return [command for command in commands if not isinstance(command, WatchSilence)]


SLOW_TURN_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-MOTION-COMPLETE": (
        WaitsFromBeforeTheSpeechEnds,
        WaitsFromBeforeTheConfirmation,
        WaitsOnceForAllMotion,
        WaitsEightSecondsForAllMotion,
    ),
    "R-AUDIO-FIRST": (HoldsEachChunkBack,),
}
"""The relays that break each of these rules, and no other rule."""
