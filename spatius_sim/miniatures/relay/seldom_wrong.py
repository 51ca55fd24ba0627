"""Relays that are wrong in one named way, but seldom: only in some turn, some payload, some company, or some
way of speaking."""

from collections import Counter
from collections.abc import Callable

from spatius_sim.miniatures.relay.honest_relays import KEEPS_ITS_SESSION, SpeaksAgain
from spatius_sim.miniatures.relay.wrong_relays import LosesLastPayload, NeverMarksAudioEnd, SwapsPayloads
from spatius_sim.miniatures.relay.wrong_with_faults import CutsLargePayloads, GivesUp
from spatius_sim.model.relay.commands import HangUp, RelayCommand, SendUp, Tell, WatchSilence
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.messages import Interrupt, MotionResponse
from spatius_sim.wires.events import ClientAction, InterruptTurn, Note, Speak, SpeakEnd


class LosesInThirdTurn(LosesLastPayload):
    """Drops the last payload of a client's third turn, and of no other."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        if turn.number == 2:
            return super().send_motion_to_client(turn, raw, message)
        return PlainRelay.send_motion_to_client(self, turn, raw, message)


class LosesBehindAnInterrupt(LosesLastPayload):
    """Drops the last payload of a turn that follows an interrupted one, and of no other."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._interrupted: set[tuple[str, int]] = set()
        """The turns, by client and number, that an interrupt ended."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn):
            self._interrupted.add((client, self._turn_numbers.get(client, -1)))
        return super().on_client_action(client, action)

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        if (turn.client_id, turn.number - 1) in self._interrupted:
            return super().send_motion_to_client(turn, raw, message)
        return PlainRelay.send_motion_to_client(self, turn, raw, message)


class DoublesSinglePayload(PlainRelay):
    """Delivers the payload twice if a turn has only one payload."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        alone = message.end and turn.payload_count == 0
        return [self.tell_motion(turn, *([raw, raw] if alone else [raw]), last=message.end)]


class PingCostsMotion(PlainRelay):
    """Drops the last payload of a turn in which its client sent a ping."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._pinged: set[RelayTurn | None] = set()

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if action == Note("ping"):
            self._pinged.add(self._speaking_turns.get(client))
        return super().on_client_action(client, action)

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        if turn in self._pinged and message.end:
            return [self.tell_motion(turn, last=True)]
        return super().send_motion_to_client(turn, raw, message)


class CutsPayloadsAbove32kB(CutsLargePayloads):
    """Passes on at most the first 32 kB of a payload."""

    most_bytes = 32 * 1024


class SwapsInCompany(SwapsPayloads):
    """Delivers the first payload of a turn after the second, while two clients are connected."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        if len(self.clients) > 1:
            return super().send_motion_to_client(turn, raw, message)
        return PlainRelay.send_motion_to_client(self, turn, raw, message)


class ForgetsOneMarkInSeven(NeverMarksAudioEnd):
    """Leaves the last audio of every seventh turn unmarked."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._turns_ended = 0

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        self._turns_ended += 1
        if self._turns_ended % 7 == 0:
            return super().end_audio_to_client(turn)
        return PlainRelay.end_audio_to_client(self, turn)


class GivesUpWhereRefused(PlainRelay):
    """Keeps one upstream session for all turns of a client. It opens another session if that is
    lost, and gives up if Motion Server turns it away."""

    policy = KEEPS_ITS_SESSION

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._turned_away: set[str] = set()

    def open_session(self, session: RelaySession) -> list[RelayCommand]:
        return [] if session.session_id in self._turned_away else super().open_session(session)

    def on_session_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is not None and not session.confirmed:
            self._turned_away.add(upstream)
        return super().on_session_lost(upstream, why)


class LosesHalfSamples(PlainRelay):
    """Drops the odd byte of every chunk that ends within a sample."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, Speak):
            action = Speak(action.pcm[: len(action.pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE], action.last)
        return super().on_client_action(client, action)


class KeepsHalfSamples(PlainRelay):
    """Speaks whole samples, and keeps the odd byte of a chunk for the next chunk. It forgets that byte at
    the end of a turn, but not at an interrupt: from then on all that is spoken is noise."""

    forgets_at: type[ClientAction] = SpeakEnd

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._halves: dict[str, bytes] = {}

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, self.forgets_at):
            self._halves.pop(client, None)
        if isinstance(action, Speak):
            pcm = self._halves.pop(client, b"") + action.pcm
            whole = len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
            self._halves[client] = pcm[whole:]
            action = Speak(pcm[:whole], action.last)
        return super().on_client_action(client, action)


class KeepsHalfSamplesForTheNextTurn(KeepsHalfSamples):
    """Forgets the odd byte of a chunk at an interrupt, but not at the end of a turn."""

    forgets_at = InterruptTurn


class FallsOverHalfSamples(PlainRelay):
    """Serves nobody any more whose chunk has ended within a sample."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._fallen_over: set[str] = set()

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, Speak) and len(action.pcm) % BYTES_PER_SAMPLE:
            self._fallen_over.add(client)
            self._drop_turns(client)
        return [] if client in self._fallen_over else super().on_client_action(client, action)


class EndsAtEmptyChunk(PlainRelay):
    """Takes an empty chunk for the end of a turn."""

    policy = KEEPS_ITS_SESSION

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        return super().on_client_action(client, SpeakEnd() if action == Speak(b"") else action)


class CutsHugeChunks(PlainRelay):
    """Passes on at most the first 128 kB of a chunk."""

    most_bytes = 128 * 1024

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, Speak):
            action = Speak(action.pcm[: self.most_bytes], action.last)
        return super().on_client_action(client, action)


class EndsTurnInAPause(PlainRelay):
    """Ends a turn whose client has sent no audio for a second."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        commands = super().on_client_action(client, action)
        turn = self._speaking_turns.get(client)
        if turn is None or not isinstance(action, Speak):
            return commands
        return [*commands, *self.watch_for_silence(turn)]

    def watch_for_silence(self, turn: RelayTurn) -> list[RelayCommand]:
        if self._speaking_turns.get(turn.client_id) is not turn:
            return super().watch_for_silence(turn)
        return [WatchSilence(turn.session.session_id, 1.0)]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is not None and session.client_id in self._speaking_turns:
            return self.on_client_action(session.client_id, SpeakEnd())
        return super().on_server_silent(upstream)


class WaitsTooShortlyForMotion(PlainRelay):
    """Closes the session with Motion Server if, after the end of the speech, no motion has come for a tenth
    of a second. Tells nobody."""

    patience = 0.1

    def watch_for_silence(self, turn: RelayTurn) -> list[RelayCommand]:
        if turn.is_over or self._speaking_turns.get(turn.client_id) is turn:
            return super().watch_for_silence(turn)
        return [WatchSilence(turn.session.session_id, self.patience)]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is None or session.turn is None or session.client_id in self._speaking_turns:
            return super().on_server_silent(upstream)
        return self.give_up(session.turn)

    def give_up(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return the commands that end the turn at Motion Server."""
        return self._end_turn(turn)


class InterruptsSlowMotion(WaitsTooShortlyForMotion):
    """Interrupts the turn at Motion Server if, after the end of the speech, no motion has come for a tenth of
    a second. Tells nobody."""

    def give_up(self, turn: RelayTurn) -> list[RelayCommand]:
        interrupt = SendUp(turn.session.session_id, Interrupt(turn.req_id))
        return [*([interrupt] if turn.session.confirmed else []), *self._end_turn(turn)]


class TellsNoLateClose(PlainRelay):
    """Says nothing when Motion Server closes the session after two payloads of a turn or more."""

    def on_session_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        turn = session.turn if session is not None else None
        commands = super().on_session_lost(upstream, why)
        if turn is None or turn.payload_count < 2:
            return commands
        return [command for command in commands if not isinstance(command, Tell)]


class GivesUpAfterFourPayloads(GivesUp):
    """Never connects again for a client once motion has failed after four payloads of a turn."""

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        if turn.payload_count >= 4:
            return super().tell_failure(turn, why)
        return PlainRelay.tell_failure(self, turn, why)


class GivesUpAfterManyFailures(GivesUp):
    """Never connects again for a client once motion has failed for the fifth time: it counts all failures of
    the client, though turns worked between them."""

    most_failures = 5

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._failures: Counter[str] = Counter()

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._failures[turn.client_id] += 1
        if self._failures[turn.client_id] >= self.most_failures:
            return super().tell_failure(turn, why)
        return PlainRelay.tell_failure(self, turn, why)


class SpeaksAgainToTheClientToo(SpeaksAgain):
    """Sends the client all audio of a turn again, too, when Motion Server must hear it again."""

    def down_again(self, turn: RelayTurn) -> list[RelayCommand]:
        return [self.tell_audio(turn, audio.audio) for audio in turn.unsent_audio if audio.audio]


class PassesMotionOnAgain(SpeaksAgain):
    """Lets Motion Server hear a turn again though some of its motion has come, and passes all of it on."""

    def may_speak_again(self, turn: RelayTurn) -> bool:
        return turn.turn_id not in self._spoke_again


class KeepsADeadSession(PlainRelay):
    """Keeps one upstream session for all turns of a client. It does not notice that Motion Server closed the
    session between two turns, and speaks into it."""

    policy = KEEPS_ITS_SESSION

    def on_session_lost(self, session_id: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(session_id)
        return [] if session and not session.turn else super().on_session_lost(session_id, why)


class GoesOnInANewSession(PlainRelay):
    """If Motion Server closes the session while the client speaks, opens another one, and sends up there only
    what the client says from then on. Tells nobody."""

    def on_session_lost(self, session_id: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(session_id)
        turn = session.turn if session else None
        if session is None or turn is None or not session.confirmed or turn.payload_count:
            return super().on_session_lost(session_id, why)
        if self._speaking_turns.get(turn.client_id) is not turn:
            return super().on_session_lost(session_id, why)
        session.confirmed = False
        return self.open_session(session)


class ForgetsFailedSessions(PlainRelay):
    """Forgets a session in which Motion Server reported an error, and never closes it."""

    def _fail_turn(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        commands = super()._fail_turn(turn, why)
        return [command for command in commands if not isinstance(command, HangUp)]


MEAN_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-MOTION-COMPLETE": (
        LosesInThirdTurn,
        LosesBehindAnInterrupt,
        DoublesSinglePayload,
        PingCostsMotion,
        WaitsTooShortlyForMotion,
        InterruptsSlowMotion,
        PassesMotionOnAgain,
    ),
    "R-MOTION-VERBATIM": (CutsPayloadsAbove32kB,),
    "R-MOTION-ORDER": (SwapsInCompany,),
    "R-RECOVER": (GivesUpWhereRefused, GivesUpAfterFourPayloads, GivesUpAfterManyFailures, KeepsADeadSession),
    "U-HANGUP": (ForgetsFailedSessions,),
    "R-ERROR-TOLD": (TellsNoLateClose, GoesOnInANewSession),
    "R-END-AUDIO": (ForgetsOneMarkInSeven, EndsAtEmptyChunk, EndsTurnInAPause, SpeaksAgainToTheClientToo),
    "R-CONVERSATION": (FallsOverHalfSamples,),
    "U-AUDIO-COMPLETE": (
        LosesHalfSamples,
        KeepsHalfSamples,
        KeepsHalfSamplesForTheNextTurn,
        CutsHugeChunks,
    ),
}
"""The relays that break each rule, and no other rule, though few plans find it."""
