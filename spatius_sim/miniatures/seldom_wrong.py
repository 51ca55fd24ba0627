"""Relays that are wrong in one named way, but seldom: only in some turn, some payload, some company, or some
way of speaking."""

from collections import Counter
from collections.abc import Callable

from spatius_sim.miniatures.honest_relays import KEEPS_ITS_SESSION, SpeaksAgain
from spatius_sim.miniatures.wrong_relays import LosesLastPayload, NeverMarksAudioEnd, SwapsPayloads
from spatius_sim.miniatures.wrong_with_faults import CutsLargePayloads, GivesUp
from spatius_sim.model.relay.commands import RelayCommand, SendUp, Tell, WatchSilence
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.messages import Interrupt, MotionResponse
from spatius_sim.wires.events import ClientAction, InterruptTurn, Note, Speak, SpeakEnd


class LosesInThirdTurn(LosesLastPayload):
    """Drops the last payload of a client's third turn, and of no other."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        if turn.number == 2:
            return super().motion_down(turn, raw, message)
        return PlainRelay.motion_down(self, turn, raw, message)


class LosesBehindAnInterrupt(LosesLastPayload):
    """Drops the last payload of a turn that follows an interrupted one, and of no other."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._interrupted: set[tuple[str, int]] = set()
        """The turns, by client and number, that an interrupt ended."""

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn):
            self._interrupted.add((client, self._spoken.get(client, -1)))
        return super().client_did(client, action)

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        if (turn.client, turn.number - 1) in self._interrupted:
            return super().motion_down(turn, raw, message)
        return PlainRelay.motion_down(self, turn, raw, message)


class DoublesSinglePayload(PlainRelay):
    """Delivers the payload twice if a turn has only one payload."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        alone = message.end and turn.payloads == 0
        return [self.tell_motion(turn, *([raw, raw] if alone else [raw]), last=message.end)]


class PingCostsMotion(PlainRelay):
    """Drops the last payload of a turn in which its client sent a ping."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._pinged: set[RelayTurn | None] = set()

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if action == Note("ping"):
            self._pinged.add(self._speaking.get(client))
        return super().client_did(client, action)

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        if turn in self._pinged and message.end:
            return [self.tell_motion(turn, last=True)]
        return super().motion_down(turn, raw, message)


class CutsPayloadsAbove32kB(CutsLargePayloads):
    """Passes on at most the first 32 kB of a payload."""

    most_bytes = 32 * 1024


class SwapsInCompany(SwapsPayloads):
    """Delivers the first payload of a turn after the second, while two clients are connected."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        if len(self.clients) > 1:
            return super().motion_down(turn, raw, message)
        return PlainRelay.motion_down(self, turn, raw, message)


class ForgetsOneMarkInSeven(NeverMarksAudioEnd):
    """Leaves the last audio of every seventh turn unmarked."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._turns_ended = 0

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        self._turns_ended += 1
        if self._turns_ended % 7 == 0:
            return super().end_down(turn)
        return PlainRelay.end_down(self, turn)


class GivesUpWhereRefused(PlainRelay):
    """Keeps one upstream session for all turns of a client. It opens another session if that is
    lost, and gives up if Motion Server turns it away."""

    policy = KEEPS_ITS_SESSION

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._turned_away: set[str] = set()

    def connect_up(self, session: RelaySession) -> list[RelayCommand]:
        return [] if session.name in self._turned_away else super().connect_up(session)

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is not None and not session.confirmed:
            self._turned_away.add(upstream)
        return super().upstream_lost(upstream, why)


class LosesHalfSamples(PlainRelay):
    """Drops the odd byte of every chunk that ends within a sample."""

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, Speak):
            action = Speak(action.pcm[: len(action.pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE], action.last)
        return super().client_did(client, action)


class KeepsHalfSamples(PlainRelay):
    """Speaks whole samples, and keeps the odd byte of a chunk for the next chunk. It forgets that byte at
    the end of a turn, but not at an interrupt: from then on all that is spoken is noise."""

    forgets_at: type[ClientAction] = SpeakEnd

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._halves: dict[str, bytes] = {}

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, self.forgets_at):
            self._halves.pop(client, None)
        if isinstance(action, Speak):
            pcm = self._halves.pop(client, b"") + action.pcm
            whole = len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
            self._halves[client] = pcm[whole:]
            action = Speak(pcm[:whole], action.last)
        return super().client_did(client, action)


class KeepsHalfSamplesForTheNextTurn(KeepsHalfSamples):
    """Forgets the odd byte of a chunk at an interrupt, but not at the end of a turn."""

    forgets_at = InterruptTurn


class FallsOverHalfSamples(PlainRelay):
    """Serves nobody any more whose chunk has ended within a sample."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._fallen_over: set[str] = set()

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, Speak) and len(action.pcm) % BYTES_PER_SAMPLE:
            self._fallen_over.add(client)
            self._drop(client)
        return [] if client in self._fallen_over else super().client_did(client, action)


class EndsAtEmptyChunk(PlainRelay):
    """Takes an empty chunk for the end of a turn."""

    policy = KEEPS_ITS_SESSION

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        return super().client_did(client, SpeakEnd() if action == Speak(b"") else action)


class CutsHugeChunks(PlainRelay):
    """Passes on at most the first 128 kB of a chunk."""

    most_bytes = 128 * 1024

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, Speak):
            action = Speak(action.pcm[: self.most_bytes], action.last)
        return super().client_did(client, action)


class EndsTurnInAPause(PlainRelay):
    """Ends a turn whose client has sent no audio for a second."""

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        commands = super().client_did(client, action)
        turn = self._speaking.get(client)
        if turn is None or not isinstance(action, Speak):
            return commands
        return [*commands, *self.watch_for_silence(turn)]

    def watch_for_silence(self, turn: RelayTurn) -> list[RelayCommand]:
        if self._speaking.get(turn.client) is not turn:
            return super().watch_for_silence(turn)
        return [WatchSilence(turn.session.name, 1.0)]

    def upstream_silent(self, upstream: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is not None and session.client in self._speaking:
            return self.client_did(session.client, SpeakEnd())
        return super().upstream_silent(upstream)


class WaitsTooShortlyForMotion(PlainRelay):
    """Closes the session with Motion Server if, after the end of the speech, no motion has come for a tenth
    of a second. Tells nobody."""

    patience = 0.1

    def watch_for_silence(self, turn: RelayTurn) -> list[RelayCommand]:
        if turn.is_over or self._speaking.get(turn.client) is turn:
            return super().watch_for_silence(turn)
        return [WatchSilence(turn.session.name, self.patience)]

    def upstream_silent(self, upstream: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is None or session.turn is None or session.client in self._speaking:
            return super().upstream_silent(upstream)
        return self.give_up(session.turn)

    def give_up(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return the commands that end the turn at Motion Server."""
        return self._end(turn)


class InterruptsSlowMotion(WaitsTooShortlyForMotion):
    """Interrupts the turn at Motion Server if, after the end of the speech, no motion has come for a tenth of
    a second. Tells nobody."""

    def give_up(self, turn: RelayTurn) -> list[RelayCommand]:
        interrupt = SendUp(turn.session.name, Interrupt(turn.req_id))
        return [*([interrupt] if turn.session.confirmed else []), *self._end(turn)]


class TellsNoLateClose(PlainRelay):
    """Says nothing when Motion Server closes the session after two payloads of a turn or more."""

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        turn = session.turn if session is not None else None
        commands = super().upstream_lost(upstream, why)
        if turn is None or turn.payloads < 2:
            return commands
        return [command for command in commands if not isinstance(command, Tell)]


class GivesUpAfterFourPayloads(GivesUp):
    """Never connects again for a client once motion has failed after four payloads of a turn."""

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        if turn.payloads >= 4:
            return super().failure_down(turn, why)
        return PlainRelay.failure_down(self, turn, why)


class GivesUpAfterManyFailures(GivesUp):
    """Never connects again for a client once motion has failed for the fifth time: it counts all failures of
    the client, though turns worked between them."""

    most_failures = 5

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._failures: Counter[str] = Counter()

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._failures[turn.client] += 1
        if self._failures[turn.client] >= self.most_failures:
            return super().failure_down(turn, why)
        return PlainRelay.failure_down(self, turn, why)


class SpeaksAgainToTheClientToo(SpeaksAgain):
    """Sends the client all audio of a turn again, too, when Motion Server must hear it again."""

    def down_again(self, turn: RelayTurn) -> list[RelayCommand]:
        return [self.tell_audio(turn, audio.audio) for audio in turn.unsent if audio.audio]


MEAN_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-MOTION-COMPLETE": (
        LosesInThirdTurn,
        LosesBehindAnInterrupt,
        DoublesSinglePayload,
        PingCostsMotion,
        WaitsTooShortlyForMotion,
        InterruptsSlowMotion,
    ),
    "R-MOTION-VERBATIM": (CutsPayloadsAbove32kB,),
    "R-MOTION-ORDER": (SwapsInCompany,),
    "R-RECOVER": (GivesUpWhereRefused, GivesUpAfterFourPayloads, GivesUpAfterManyFailures),
    "R-ERROR-TOLD": (TellsNoLateClose,),
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
