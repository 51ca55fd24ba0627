"""Relays that are wrong only once a connection is older than a minute. No ci run keeps one for so long."""

from collections.abc import Callable

from spatius_sim.miniatures.relay.honest_relays import KEEPS_ITS_SESSION
from spatius_sim.model.relay.commands import RelayCommand, WatchSilence
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.wires.events import ClientAction, Speak, SpeakEnd

_LONG_SECONDS = 60.0


class _KnowsAges(PlainRelay):
    """Knows which of its clients have been connected for longer than a minute."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._ages: dict[str, str] = {}
        """The clients that are watched, by the name of their watch."""
        self.old: set[str] = set()

    def on_client_connected(
        self, client: str, session_key: str = "", sample_rate: int = 0
    ) -> list[RelayCommand]:
        watch = f"age of {client}"
        self._ages[watch] = client
        return [
            *super().on_client_connected(client, session_key, sample_rate),
            WatchSilence(watch, _LONG_SECONDS),
        ]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        client = self._ages.pop(upstream, None)
        if client is None:
            return super().on_server_silent(upstream)
        self.old.add(client)
        return []


class DeafAfterAMinute(_KnowsAges):
    """Begins no more turns on a connection that is older than a minute."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        idle = client in self.old and client not in self._speaking_turns
        return (
            [] if idle and isinstance(action, Speak | SpeakEnd) else super().on_client_action(client, action)
        )


class StillAfterAMinute(_KnowsAges):
    """Passes no more motion on while a turn is spoken that has lasted beyond the first minute."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        late = turn.client_id in self.old and turn.payload_count > 2 and not message.end
        return [] if late else super().send_motion_to_client(turn, raw, message)


class MissesAnIdleDrop(PlainRelay):
    """Keeps one session for all turns, and goes on with it although it was closed while nobody spoke."""

    policy = KEEPS_ITS_SESSION

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._dead: set[str] = set()

    def on_session_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is None or session.turn is not None:
            return super().on_session_lost(upstream, why)
        self._dead.add(upstream)
        return []

    def _close_session(self, session: RelaySession) -> list[RelayCommand]:
        return [] if session.session_id in self._dead else super()._close_session(session)


LONG_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-CONVERSATION": (DeafAfterAMinute,),
    "R-MOTION-COMPLETE": (StillAfterAMinute,),
    "R-RECOVER": (MissesAnIdleDrop,),
}
"""Wrong relays by the rule that must name them in a nightly run."""
