"""Relays that are wrong in exactly one way when Motion Server is refusing, dying, silent or verbose."""

from collections.abc import Callable

from spatius_sim.miniatures.relay.honest_relays import STARTS_SLOWLY
from spatius_sim.model.relay.commands import RelayCommand, Tell, WatchSilence
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.wires.events import Failed

_OFTEN_SECONDS = 0.25


class EndsAudioWithMotion(PlainRelay):
    """Holds the mark of a turn's last audio back until its motion has ended, which it may never do."""

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        return []

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        mark = super().end_audio_to_client(turn) if message.end else []
        return super().send_motion_to_client(turn, raw, message) + mark


class KeepsAudioForMotion(PlainRelay):
    """Keeps a turn's audio until its session is confirmed, and drops it if that never happens."""

    policy = STARTS_SLOWLY

    def may_start(self, turn: RelayTurn) -> bool:
        return turn.session.confirmed

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        mark = [] if turn.session.confirmed else [self.tell_audio(turn, b"", last=True)]
        return super().tell_failure(turn, why) + mark


class PlaysAgainWhenMotionFails(PlainRelay):
    """Sends the client all audio of a turn once more when its motion fails, as if it would begin anew."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._audio_by_turn: dict[str, bytes] = {}

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        self._audio_by_turn[turn.turn_id] = self._audio_by_turn.get(turn.turn_id, b"") + pcm
        return super().send_audio_to_client(turn, pcm)

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        audio = self._audio_by_turn.pop(turn.turn_id, b"")
        return [self.tell_audio(turn, audio), *super().tell_failure(turn, why)]


class TellsNoFailure(PlainRelay):
    """Says nothing when motion fails."""

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        return []


class TellsNoClose(PlainRelay):
    """Says nothing when Motion Server closes the session in mid-turn, as the SDK says nothing of a plain
    close."""

    def on_session_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        commands = super().on_session_lost(upstream, why)
        if session is None or not session.confirmed:
            return commands
        return [command for command in commands if not isinstance(command, Tell)]


class GivesUp(PlainRelay):
    """Never connects again for a client once motion has failed."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._given_up: set[str] = set()

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._given_up.add(turn.client_id)
        return super().tell_failure(turn, why)

    def open_session(self, session: RelaySession) -> list[RelayCommand]:
        return [] if session.client_id in self._given_up else super().open_session(session)


class FallsBackTwice(PlainRelay):
    """Tells a failure by an empty list, and sends such a list in the client's next turn, too. Its wire has no
    turn ids."""

    wire = "typed-json"

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._fell_back: set[str] = set()

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._fell_back.add(turn.client_id)
        return [self.tell_motion(turn, last=False)]

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        again = [self.tell_motion(turn, last=False)] if turn.client_id in self._fell_back else []
        self._fell_back.discard(turn.client_id)
        return again + super().send_motion_to_client(turn, raw, message)


class LosesLargePayloads(PlainRelay):
    """Drops payloads of more than 60,000 bytes."""

    most_bytes = 60_000

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        return [] if len(raw) > self.most_bytes else super().send_motion_to_client(turn, raw, message)


class LosesHugePayloads(LosesLargePayloads):
    """Drops payloads of more than 1,000,000 bytes."""

    most_bytes = 1_000_000


class CutsLargePayloads(PlainRelay):
    """Passes on the first 60,000 bytes of a payload."""

    most_bytes = 60_000

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        return super().send_motion_to_client(turn, raw[: self.most_bytes], message)


class InsistsAtOnce(PlainRelay):
    """Tries again at once when it is refused, and again."""

    policy = RelayPolicy(attempts=40)


class InsistsForEver(PlainRelay):
    """Tells that it was refused, and tries again four times a second as long as the turn lasts."""

    def on_session_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is None or session.confirmed:
            return super().on_session_lost(upstream, why)
        session.failed_attempts += 1
        failure: list[RelayCommand] = (
            [Tell(session.client_id, Failed(why))] if session.failed_attempts == 1 else []
        )
        return [*failure, WatchSilence(upstream, _OFTEN_SECONDS)]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is None or session.confirmed or not session.failed_attempts:
            return super().on_server_silent(upstream)
        return self.open_session(session)


FAULT_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "U-RETRY": (InsistsAtOnce, InsistsForEver),
    "R-RECOVER": (GivesUp,),
    "R-FALLBACK": (EndsAudioWithMotion, KeepsAudioForMotion, PlaysAgainWhenMotionFails),
    "R-ERROR-TOLD": (TellsNoFailure, TellsNoClose),
    "R-CONVERSATION": (FallsBackTwice,),
    "R-LARGE": (LosesLargePayloads, CutsLargePayloads),
    "R-HUGE": (LosesHugePayloads,),
}
"""The relays that break each of these rules, and no other rule."""
