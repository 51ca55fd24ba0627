"""Relays that are wrong in exactly one way: it shows if clients interrupt, leave, misbehave or wait."""

from collections import deque
from collections.abc import Callable
from itertools import count

from spatius_sim.miniatures.relay.honest_relays import NAMES_NO_TURNS, PLAIN, ServesTurnsInOrder
from spatius_sim.model.relay.commands import ConnectUp, RelayCommand, Tell, WatchSilence
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn, make_turn_id
from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    Interrupted,
    InterruptTurn,
    Motion,
    Speak,
    SpeakEnd,
    Unclear,
)

_TWENTY_MS = 640


class PassesStaleMotionOn(PlainRelay):
    """Leaves the upstream session of a turn that was cut off open, and passes its motion on."""

    policy = NAMES_NO_TURNS

    def _drop_turns(self, client: str) -> list[RelayCommand]:
        self._speaking_turns.pop(client, None)
        return []


class LabelsStaleMotionAnew(PassesStaleMotionOn):
    """Leaves the session of a turn that was cut off open, and passes its motion on as the newest turn's."""

    policy = PLAIN

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        newest = make_turn_id(turn.client_id, self._turn_numbers[turn.client_id])
        return [Tell(turn.client_id, Motion((raw,), message.end, newest))]


class HoldsStaleMotionBack(PassesStaleMotionOn):
    """Leaves the upstream session of a turn that was cut off open, holds its motion back for two seconds, and
    then passes it on."""

    held_for = 2.0

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._cut_off: set[str] = set()
        self._held: deque[list[RelayCommand]] = deque()
        self._numbers = count(1)

    def _drop_turns(self, client: str) -> list[RelayCommand]:
        self._cut_off |= {session.turn.turn_id for session in self._sessions_of(client) if session.turn}
        return super()._drop_turns(client)

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        motion = super().send_motion_to_client(turn, raw, message)
        if turn.turn_id not in self._cut_off:
            return motion
        self._held.append(motion)
        return [WatchSilence(f"stale motion {next(self._numbers)}", self.held_for)]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        stale = upstream.startswith("stale motion ")
        return self._held.popleft() if stale else super().on_server_silent(upstream)


class TurnsTheTailIntoATurn(PlainRelay):
    """Buffers the newest chunk of each turn. If the turn is cut off, sends that chunk again after the next
    turn's first audio, under an id of its own."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._buffered: dict[str, tuple[RelayTurn, bytes]] = {}

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        commands = super().send_audio_to_client(turn, pcm)
        old, tail = self._buffered.get(turn.client_id, (turn, b""))
        self._buffered[turn.client_id] = turn, pcm
        if old is not turn:
            commands.append(Tell(turn.client_id, Audio(tail, turn_id=f"rest of {old.turn_id}")))
        return commands

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        self._buffered.pop(turn.client_id, None)
        return super().end_audio_to_client(turn)


class GoesOnAfterInterrupts(PlainRelay):
    """Tells a client that its turn was interrupted, and goes on with the turn until the next one begins."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn):
            return [Tell(client, Interrupted("asked"))]
        return super().on_client_action(client, action)


class SendsTheQueueAfterAnInterrupt(PlainRelay):
    """Queues some audio of each turn, and still sends it 2.1 seconds after the turn is interrupted."""

    queued_for = 2.1

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._queued: dict[str, RelayCommand] = {}

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        self._queued[f"queue of {turn.client_id}"] = self.tell_audio(turn, pcm)
        return super().send_audio_to_client(turn, pcm)

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        queue = f"queue of {client}"
        waits = isinstance(action, InterruptTurn) and queue in self._queued
        wait: list[RelayCommand] = [WatchSilence(queue, self.queued_for)] if waits else []
        return super().on_client_action(client, action) + wait

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        queued = self._queued.pop(upstream, None)
        return super().on_server_silent(upstream) if queued is None else [queued]


class TakesTokensAgain(PlainRelay):
    """Opens every session with the first token that it got."""

    def open_session(self, session: RelaySession) -> list[RelayCommand]:
        return [ConnectUp(session.session_id, self.token_life(session.failed_attempts), fresh=False)]


class EndsInMidSample(PlainRelay):
    """Sends up one byte more than the client spoke."""

    def make_audio_end(self, turn: RelayTurn) -> AudioInput:
        return AudioInput(turn.req_id, b"\0", end=True)


class SpeaksBehindTheEnd(PlainRelay):
    """Sends 20 ms of silence up after the end mark."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        turn = self._speaking_turns.get(client)
        commands = super().on_client_action(client, action)
        if turn is not None and isinstance(action, SpeakEnd):
            commands += self._send_audio_to_server(turn, AudioInput(turn.req_id, bytes(_TWENTY_MS)))
        return commands


class CutsSpeech(PlainRelay):
    """Neither sends up nor passes on the first 20 ms of every longer chunk."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        match action:
            case Speak(pcm, last) if len(pcm) > _TWENTY_MS:
                return super().on_client_action(client, Speak(pcm[_TWENTY_MS:], last))
            case _:
                return super().on_client_action(client, action)


class LeavesSessionsOpen(PlainRelay):
    """Does not close the upstream sessions of a client that left."""

    def on_client_disconnected(self, client: str) -> list[RelayCommand]:
        self.clients.remove(client)
        return []


class InterruptsTheNewestClientToo(PlainRelay):
    """If a client interrupts, also drops the turn of the client that connected last."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        commands = super().on_client_action(client, action)
        return (
            [*self._drop_turns(self.clients[-1]), *commands]
            if isinstance(action, InterruptTurn)
            else commands
        )


class GivesMotionToNextClient(PlainRelay):
    """Gives the motion that a client left behind to the client that connects next."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._left_behind: list[RelaySession] = []

    def on_client_disconnected(self, client: str) -> list[RelayCommand]:
        self._left_behind += [session for session in self._sessions_of(client) if session.turn]
        self._speaking_turns.pop(client, None)
        self.clients.remove(client)
        return []

    def on_client_connected(
        self, client: str, session_key: str = "", sample_rate: int = 0
    ) -> list[RelayCommand]:
        for session in self._left_behind:
            session.client_id = client
            if session.turn is not None:
                session.turn.client_id = client
        self._left_behind.clear()
        return super().on_client_connected(client, session_key, sample_rate)


class NeverMarksMotionEnd(PlainRelay):
    """Leaves the last motion of a turn unmarked."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        return [self.tell_motion(turn, raw, last=False)]


class MarksMotionEarly(PlainRelay):
    """Marks motion as ended when the first payload of a turn has been sent, and again at its end."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        mark = [self.tell_motion(turn, last=True)] if turn.payload_count == 0 and not message.end else []
        return super().send_motion_to_client(turn, raw, message) + mark


class DemandsCredentials(PlainRelay):
    """Serves nobody without a Spatius session token."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._refused: set[str] = set()

    def on_client_connected(
        self, client: str, session_key: str = "", sample_rate: int = 0
    ) -> list[RelayCommand]:
        if not session_key:
            self._refused.add(client)
        return super().on_client_connected(client, session_key, sample_rate)

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if client in self._refused:
            return [Tell(client, Failed("bring a session token"))]
        return super().on_client_action(client, action)


class KeepsAllWaiting(PlainRelay):
    """Sends to one client at a time, however long that client takes."""

    waits_for_all = True


class DropsForSlowClients(PlainRelay):
    """Drops a message that its client has not taken within 0.6 seconds."""

    drops_after = 0.6


class FallsOverRubbish(PlainRelay):
    """Drops the turns of all clients when one client sends a message that it does not understand."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        commands = super().on_client_action(client, action)
        if isinstance(action, Unclear):
            for other in self.clients:
                commands += self._drop_turns(other)
        return commands


class TakesLateEndForNextTurn(PlainRelay):
    """An end of speech that comes after its turn was interrupted ends the next turn after a chunk."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._interrupted: set[str] = set()
        self._ended: set[str] = set()

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        was_interrupted = client in self._interrupted
        self._interrupted.discard(client)
        commands = super().on_client_action(client, action)
        match action:
            case InterruptTurn():
                self._interrupted.add(client)
            case SpeakEnd() if was_interrupted:
                self._ended.add(client)
            case Speak() if client in self._ended:
                self._ended.remove(client)
                commands += super().on_client_action(client, SpeakEnd())
        return commands


class MixesIntoTheWaitingTurn(ServesTurnsInOrder):
    """A turn that waits for its time shares the buffer of the microphone: what its client says in the
    meantime is spoken with it, and once more as the turn that it is."""

    def _end_turn(self, turn: RelayTurn) -> list[RelayCommand]:
        waiting = self._waiting.get(turn.client_id, [])
        said = [action for action in waiting if isinstance(action, Speak)]
        first_end = next(
            (place for place, action in enumerate(waiting) if isinstance(action, SpeakEnd)), None
        )
        if first_end is not None:
            later = [action for action in waiting[first_end:] if isinstance(action, Speak)]
            if len(said) > len(later) > 0:
                self._waiting[turn.client_id] = [*waiting[:first_end], *later, *waiting[first_end:]]
        return super()._end_turn(turn)


class DoesNothingLater(PlainRelay):
    """Takes connections for ever, but does nothing for any client after the sixth."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        return [] if int(client[1:]) > 6 else super().on_client_action(client, action)


class RepeatsTurnIds(PlainRelay):
    """Gives all turns of a client from the seventh on the same id."""

    def _turn_id(self, turn: RelayTurn) -> str:
        return make_turn_id(turn.client_id, min(turn.number, 6))


class KeepsCancelledOpening(PlainRelay):
    """Opens no session for a client any more that has interrupted while one was opened, and says nothing."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._stuck: set[str] = set()

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        opening = [session for session in self._sessions_of(client) if not session.confirmed]
        if isinstance(action, InterruptTurn) and opening:
            self._stuck.add(client)
        return super().on_client_action(client, action)

    def open_session(self, session: RelaySession) -> list[RelayCommand]:
        return [] if session.client_id in self._stuck else super().open_session(session)

    def watch_for_silence(self, turn: RelayTurn) -> list[RelayCommand]:
        return [] if turn.client_id in self._stuck else super().watch_for_silence(turn)


class NumbersClientsByCount(PlainRelay):
    """Sends motion to a client by its number, which is how many clients are there when it connects. When
    another one has left, the next client takes the number of one that stays."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._numbers: dict[str, int] = {}
        self._clients_by_number: dict[int, str] = {}

    def on_client_connected(
        self, client: str, session_key: str = "", sample_rate: int = 0
    ) -> list[RelayCommand]:
        commands = super().on_client_connected(client, session_key, sample_rate)
        self._numbers[client] = len(self.clients)
        self._clients_by_number[len(self.clients)] = client
        return commands

    def tell_motion(self, turn: RelayTurn, *payloads: bytes, last: bool) -> RelayCommand:
        told = super().tell_motion(turn, *payloads, last=last)
        assert isinstance(told, Tell)
        return Tell(self._clients_by_number[self._numbers[turn.client_id]], told.event)


BEHAVIOUR_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-TOKENLESS": (DemandsCredentials,),
    "U-TOKEN-FRESH": (TakesTokensAgain,),
    "U-TURN-ID": (SpeaksBehindTheEnd,),
    "U-AUDIO-ALIGNED": (EndsInMidSample,),
    "U-AUDIO-COMPLETE": (CutsSpeech, TakesLateEndForNextTurn),
    "R-MOTION-COMPLETE": (InterruptsTheNewestClientToo,),
    "R-END-MOTION": (NeverMarksMotionEnd, MarksMotionEarly),
    "R-STALE": (
        PassesStaleMotionOn,
        LabelsStaleMotionAnew,
        HoldsStaleMotionBack,
        TurnsTheTailIntoATurn,
        GoesOnAfterInterrupts,
        SendsTheQueueAfterAnInterrupt,
        MixesIntoTheWaitingTurn,
    ),
    "R-TURNS": (RepeatsTurnIds,),
    "R-ISOLATION": (GivesMotionToNextClient, NumbersClientsByCount),
    "R-CONVERSATION": (KeepsCancelledOpening,),
    "U-HANGUP": (LeavesSessionsOpen,),
    "R-SLOWCLIENT": (KeepsAllWaiting, DropsForSlowClients),
    "R-BADINPUT": (FallsOverRubbish,),
    "R-ALIVE": (DoesNothingLater,),
}
"""The relays that break each of these rules, and no other rule."""
