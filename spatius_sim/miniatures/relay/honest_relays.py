"""Relays that keep every rule and differ in what the rules leave open: policies of the one honest brain."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from spatius_sim.model.relay.commands import RelayCommand, Tell, WatchSilence
from spatius_sim.model.relay.policy import AudioStart, EndMark, MotionStart, RelayPolicy, SessionScope
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn, make_turn_id
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, speech
from spatius_sim.protocol.messages import AudioInput, Message, MotionResponse
from spatius_sim.trace.events import Undecodable
from spatius_sim.wires.events import (
    ClientAction,
    Failed,
    Interrupted,
    InterruptTurn,
    PlayClip,
    Say,
    Speak,
    SpeakEnd,
)
from spatius_sim.wires.optional_features import OWN_STREAM

_SENTENCES = 3
_ALIGNED_BYTES = 1280
"""A keyframe of audio: a request of whole keyframes leaves no rest."""

PLAIN = RelayPolicy()
BATCHES_PAYLOADS = RelayPolicy(payloads_per_message=2)
CUTS_AUDIO_ANEW = RelayPolicy(audio_chunk_bytes=2048, audio_end=EndMark.ON_LAST)
MARKS_LAST_CHUNK = RelayPolicy(audio_end=EndMark.ON_LAST)
SENDS_ALL_AUDIO_FIRST = RelayPolicy(motion_start=MotionStart.AFTER_AUDIO)
MARKS_MOTION_APART = RelayPolicy(motion_end=EndMark.ON_ITS_OWN)
NAMES_NO_TURNS = RelayPolicy(names_turns=False)
"""As the demos' second generation."""
GREETS_NOBODY = RelayPolicy(greets=False, chatty=True)
"""Sends nothing before it is spoken to, and then much that nobody asked for."""
STARTS_SLOWLY = RelayPolicy(audio_start=AudioStart.WHEN_CONFIRMED)
KEEPS_ITS_SESSION = RelayPolicy(session_scope=SessionScope.CLIENT)
PLAYS_CLIPS = RelayPolicy(clip=speech("a clip", 3 * PLAN_SAMPLE_RATE))
"""Speaks a clip of its own, three seconds long, when it is asked to."""
PLAYS_CLIPS_WITHOUT_TURN_IDS = replace(PLAYS_CLIPS, names_turns=False)
GATHERS_SPEECH = RelayPolicy(gathers_speech=True)
"""As the demos' first generation: what an interrupt leaves unended is spoken with the next turn."""
ENDS_BY_SILENCE = RelayPolicy(ends_speech_after=0.5)
"""Finds out by silence when a client has said all. Its wire must declare that."""
PADS_SPEECH = RelayPolicy(pads_speech_to=640)
"""Sends up whole packets of 20 ms."""
TRIES_AGAIN = RelayPolicy(attempts=3)
"""Opens a session that was refused twice more, and keeps meanwhile what the client says."""

HONEST_RELAYS: dict[str, RelayPolicy] = {
    "PlainRelay": PLAIN,
    "BatchesPayloads": BATCHES_PAYLOADS,
    "CutsAudioAnew": CUTS_AUDIO_ANEW,
    "MarksLastChunk": MARKS_LAST_CHUNK,
    "SendsAllAudioFirst": SENDS_ALL_AUDIO_FIRST,
    "MarksMotionApart": MARKS_MOTION_APART,
    "NamesNoTurns": NAMES_NO_TURNS,
    "GreetsNobody": GREETS_NOBODY,
    "StartsSlowly": STARTS_SLOWLY,
    "KeepsItsSession": KEEPS_ITS_SESSION,
    "PlaysClips": PLAYS_CLIPS,
    "PlaysClipsWithoutTurnIds": PLAYS_CLIPS_WITHOUT_TURN_IDS,
    "GathersSpeech": GATHERS_SPEECH,
    "PadsSpeech": PADS_SPEECH,
    "TriesAgain": TRIES_AGAIN,
}
"""The plain relay, and those that differ from it, by the names that tables print."""


class CountsWhatWorked(PlainRelay):
    """Numbers the turns that worked: the turn after one that failed has the id of the failed turn again."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._failed: set[tuple[str, int]] = set()
        """The turns that failed, by client and number."""

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._failed.add((turn.client_id, turn.number))
        return super().tell_failure(turn, why)

    def _turn_id(self, turn: RelayTurn) -> str:
        failed_before = sum((turn.client_id, number) in self._failed for number in range(turn.number))
        return make_turn_id(turn.client_id, turn.number - failed_before)


class MarksAudioLast(PlainRelay):
    """Marks the end of a turn's audio after the last motion, or when the motion has failed."""

    policy = NAMES_NO_TURNS

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._to_mark: set[str] = set()
        """The turns whose audio is over, and whose motion is not."""

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        if turn.is_over:
            return super().end_audio_to_client(turn)
        self._to_mark.add(turn.turn_id)
        return []

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        motion = super().send_motion_to_client(turn, raw, message)
        return motion + self.mark_at_last(turn) if message.end else motion

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        return self.mark_at_last(turn) + super().tell_failure(turn, why)

    def mark_at_last(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return the end mark of the turn's audio if it was held back; otherwise an empty list."""
        if turn.turn_id not in self._to_mark:
            return []
        self._to_mark.remove(turn.turn_id)
        return super().end_audio_to_client(turn)


class MarksAudioOfClipsLast(MarksAudioLast):
    """Plays clips, and marks the end of their audio after the last motion."""

    policy = PLAYS_CLIPS_WITHOUT_TURN_IDS


class SendsLater(PlainRelay):
    """Sends its clients everything 0.3 s later, in order, as over a slow network."""

    later_by = 0.3

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._on_the_way: deque[list[RelayCommand]] = deque()
        self._numbers = count(1)

    def _put_on_the_way(self, commands: list[RelayCommand]) -> list[RelayCommand]:
        """Return the commands without the messages to clients, which follow when their time has come."""
        messages: list[RelayCommand] = [command for command in commands if isinstance(command, Tell)]
        if not messages:
            return commands
        self._on_the_way.append(messages)
        others = [command for command in commands if not isinstance(command, Tell)]
        return [*others, WatchSilence(f"message {next(self._numbers)}", self.later_by)]

    def on_client_connected(
        self, client: str, session_key: str = "", sample_rate: int = 0
    ) -> list[RelayCommand]:
        return self._put_on_the_way(super().on_client_connected(client, session_key, sample_rate))

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        return self._put_on_the_way(super().on_client_action(client, action))

    def on_server_frame(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        return self._put_on_the_way(super().on_server_frame(upstream, raw, value))

    def on_session_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        return self._put_on_the_way(super().on_session_lost(upstream, why))

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        if upstream.startswith("message "):
            return self._on_the_way.popleft()
        return self._put_on_the_way(super().on_server_silent(upstream))


class ServesTurnsInOrder(PlainRelay):
    """Serves the turns of a client one after the other. What the client says meanwhile waits until the motion
    of the turn before has come, or the client interrupts."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._waiting: dict[str, list[ClientAction]] = {}
        """What each client said that waits for its turn."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn):
            self._waiting.pop(client, None)
        elif isinstance(action, Speak | SpeakEnd) and (client in self._waiting or self._is_served(client)):
            self._waiting.setdefault(client, []).append(action)
            return []
        return super().on_client_action(client, action)

    def on_client_disconnected(self, client: str) -> list[RelayCommand]:
        self._waiting.pop(client, None)
        return super().on_client_disconnected(client)

    def _is_served(self, client: str) -> bool:
        """Return whether the client has ended its speech, and motion of it is still to come."""
        return client not in self._speaking_turns and any(
            session.turn for session in self._sessions_of(client)
        )

    def _end_turn(self, turn: RelayTurn) -> list[RelayCommand]:
        commands = super()._end_turn(turn)
        for action in self._waiting.pop(turn.client_id, ()):
            commands += self.on_client_action(turn.client_id, action)
        return commands


class SpeaksInSentences(PlainRelay):
    """Sends a clip up as three requests, as an agent does whose speech is made sentence by sentence. For the
    client it is one turn, whose motion ends with the motion of the last request."""

    policy = replace(PLAYS_CLIPS, session_scope=SessionScope.CLIENT)

    def _send_audio_to_server(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        commands: list[RelayCommand] = []
        for number, sentence in enumerate(_split_into_sentences(audio.audio), 1):
            request = AudioInput(f"{turn.req_id}.{number}", sentence, end=True)
            commands += super()._send_audio_to_server(turn, request)
        return commands

    def on_server_frame(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        turn = session.turn if session else None
        if turn is not None and isinstance(value, MotionResponse):
            req_id, _, sentence = value.req_id.rpartition(".")
            value = replace(value, req_id=req_id, end=value.end and sentence == str(_SENTENCES))
        return super().on_server_frame(upstream, raw, value)


class SpeaksSentencesAtOnce(PlainRelay):
    """Sends a clip up as three requests, each in a session of its own, and all at once. For the client it is
    one turn, whose motion comes in the order of the sentences. If one sentence fails, all end."""

    policy = PLAYS_CLIPS

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._sentences: dict[str, list[RelayTurn]] = {}
        """For each turn, those of its sentences whose motion has not been passed on to its end."""
        self._early_motion: dict[str, list[tuple[bytes, MotionResponse]]] = {}
        """Motion that waits for the motion of earlier sentences, by the req_id of its sentence."""

    def _send_audio_to_server(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        commands: list[RelayCommand] = []
        for number, sentence in enumerate(_split_into_sentences(audio.audio)):
            part = turn
            if number:
                session = RelaySession(f"{turn.turn_id}.{number}", turn.client_id)
                part = RelayTurn(turn.client_id, turn.turn_id, turn.number, self._new_id(), session)
                self.sessions[session.session_id], session.turn = session, part
            self._sentences.setdefault(turn.turn_id, []).append(part)
            commands += self.open_session(part.session) if number else []
            commands += super()._send_audio_to_server(part, AudioInput(part.req_id, sentence, end=True))
            commands += self.watch_for_silence(part)
        return commands

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        sentences = self._sentences[turn.turn_id]
        if turn is not sentences[0]:
            self._early_motion.setdefault(turn.req_id, []).append((raw, message))
            return []
        is_last = len(sentences) == 1
        commands = super().send_motion_to_client(turn, raw, replace(message, end=message.end and is_last))
        if message.end:
            sentences.pop(0)
            for early in self._early_motion.pop(sentences[0].req_id, []) if sentences else []:
                commands += self.send_motion_to_client(sentences[0], *early)
        return commands

    def _fail_turn(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        commands: list[RelayCommand] = []
        for sentence in self._sentences.pop(turn.turn_id, []):
            if sentence is not turn and not sentence.is_over:
                commands += self._end_turn(sentence)
        return commands + super()._fail_turn(turn, why)


class SpeaksAgain(PlainRelay):
    """If Motion Server closes the session of a turn before any of its motion has come, opens another one, and
    sends all audio of the turn up again, with a new req_id. It does so once for each turn."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._sent_up: dict[str, list[AudioInput]] = {}
        """The audio of each turn that is not over."""
        self._spoke_again: set[str] = set()

    def _send_audio_to_server(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        self._sent_up.setdefault(turn.turn_id, []).append(audio)
        return super()._send_audio_to_server(turn, audio)

    def _end_turn(self, turn: RelayTurn) -> list[RelayCommand]:
        self._sent_up.pop(turn.turn_id, None)
        return super()._end_turn(turn)

    def on_session_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        turn = session.turn if session else None
        if session is None or turn is None or not self.may_speak_again(turn):
            return super().on_session_lost(upstream, why)
        self._spoke_again.add(turn.turn_id)
        session.confirmed = False
        turn.req_id = self._new_id()
        turn.unsent_audio = [
            replace(audio, req_id=turn.req_id) for audio in self._sent_up.get(turn.turn_id, [])
        ]
        return [*self.down_again(turn), *self.open_session(session)]

    def may_speak_again(self, turn: RelayTurn) -> bool:
        """Return whether the audio of a turn whose session was lost goes up again."""
        return not turn.payload_count and turn.turn_id not in self._spoke_again

    def down_again(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return what the client is sent when the audio of its turn goes up again: nothing, for it has the
        audio already."""
        return []


class PassesOnTheRest(SpeaksAgain):
    """Lets Motion Server hear a turn again also if some of its motion has come, and passes on only what the
    client does not have yet."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._left_to_skip: dict[str, int] = {}

    def may_speak_again(self, turn: RelayTurn) -> bool:
        may = turn.turn_id not in self._spoke_again
        if may:
            self._left_to_skip[turn.turn_id] = turn.payload_count
        return may

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        left = self._left_to_skip.get(turn.turn_id, 0)
        self._left_to_skip[turn.turn_id] = max(0, left - 1)
        return [] if left else super().send_motion_to_client(turn, raw, message)


class GreetsLate(PlainRelay):
    """Greets each client after some seconds, and refuses audio until then."""

    greets_after = 3.0

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._to_greet: dict[str, str] = {}
        """The clients that wait for their greeting, by the name of what is watched meanwhile."""

    def on_client_connected(
        self, client: str, session_key: str = "", sample_rate: int = 0
    ) -> list[RelayCommand]:
        super().on_client_connected(client, session_key, sample_rate)
        self._to_greet[f"greeting of {client}"] = client
        return [WatchSilence(f"greeting of {client}", self.greets_after)]

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if client not in self._to_greet.values():
            return super().on_client_action(client, action)
        return [Tell(client, Failed("not ready yet"))] if isinstance(action, Speak) else []

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        client = self._to_greet.pop(upstream, None)
        return super().on_server_silent(upstream) if client is None else self.greet(client)


class StopsAfterAMoment(PlainRelay):
    """Goes on with an interrupted turn for a second, as if it emptied its queues, and then drops the turn."""

    goes_on_for = 1.0

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if not isinstance(action, InterruptTurn):
            return super().on_client_action(client, action)
        self._speaking_turns.pop(client, None)
        return [
            Tell(client, Interrupted("asked")),
            *(
                WatchSilence(f"stop of {session.turn.turn_id}", self.goes_on_for)
                for session in self._sessions_of(client)
                if session.turn
            ),
        ]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        turns = [session.turn for session in self.sessions.values() if session.turn]
        for turn in turns:
            if upstream == f"stop of {turn.turn_id}":
                return self._end_turn(turn)
        return super().on_server_silent(upstream)


class PlaysClipsAtPace(PlainRelay):
    """Plays a clip of its own in pieces of 100 ms, four times as fast as it is heard. If its motion fails,
    the client hears the clip to its end, though nothing more of it goes up."""

    policy = PLAYS_CLIPS
    piece_bytes = 3_200
    seconds_between = 0.025

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._timers = count(1)
        self._playing: dict[str, str] = {}
        """The timer of each client that hears a clip."""
        self._places: dict[str, tuple[str, int]] = {}
        """By timer: the client, and the byte of the clip that is next."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, PlayClip | Say):
            return self._drop_turns(client) + self._play_piece(client, 0)
        if isinstance(action, InterruptTurn):
            self._playing.pop(client, None)
        return super().on_client_action(client, action)

    def on_client_disconnected(self, client: str) -> list[RelayCommand]:
        self._playing.pop(client, None)
        return super().on_client_disconnected(client)

    def _play_piece(self, client: str, start: int) -> list[RelayCommand]:
        end = start + self.piece_bytes
        is_last = end >= len(self.policy.clip)
        commands = super().on_client_action(client, Speak(self.policy.clip[start:end], last=is_last))
        if is_last:
            self._playing.pop(client, None)
            return commands
        timer = self._playing[client] = f"piece {next(self._timers)}"
        self._places[timer] = client, end
        return [*commands, WatchSilence(timer, self.seconds_between)]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        if upstream not in self._places:
            return super().on_server_silent(upstream)
        client, start = self._places.pop(upstream)
        return self._play_piece(client, start) if self._playing.get(client) == upstream else []


class PlaysAllClipsInOneSession(PlaysClipsAtPace):
    """Does so over one session with Motion Server for all clips of a client."""

    policy = replace(PLAYS_CLIPS, session_scope=SessionScope.CLIENT)


class MarksWhatItStops(PlainRelay):
    """Answers an interrupt with the end marks of the turn's audio and motion, and 2.2 s later with an error
    that says so."""

    tells_after = 2.2

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if not isinstance(action, InterruptTurn):
            return super().on_client_action(client, action)
        turns = [session.turn for session in self._sessions_of(client) if session.turn]
        marks: list[RelayCommand] = []
        for turn in turns:
            if not turn.audio_ended:
                marks += self.end_audio_to_client(turn)
            marks += [
                self.tell_motion(turn, last=True),
                WatchSilence(f"end of {turn.turn_id} of {client}", self.tells_after),
            ]
        return marks + super().on_client_action(client, action)

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        if not upstream.startswith("end of "):
            return super().on_server_silent(upstream)
        client = upstream.rpartition(" of ")[2]
        return [Tell(client, Failed("the turn was interrupted"))]


class OneRoomForAll(PlainRelay):
    """Lets all clients hear the same: whoever has spoken is heard by everybody, one turn after the other. A
    client that connects during a turn hears the next one."""

    policy = KEEPS_ITS_SESSION
    lacks = (OWN_STREAM,)
    room = "the room"

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._queue: deque[tuple[str, bytes]] = deque()
        """The speech that waits for its turn, each with the client that has spoken."""
        self._speaker = ""
        """The client whose speech is heard, or was heard last."""
        self._listeners: list[str] = []
        """The clients that hear the turn."""

    def on_client_connected(
        self, client: str, session_key: str = "", sample_rate: int = 0
    ) -> list[RelayCommand]:
        return super().on_client_connected(client)

    def on_client_disconnected(self, client: str) -> list[RelayCommand]:
        super().on_client_disconnected(client)
        self._forget_speech_of(client)
        if client in self._listeners:
            self._listeners.remove(client)
        commands: list[RelayCommand] = []
        for session in [] if self.clients else self._sessions_of(self.room):
            commands += self._close_session(session)
        return commands

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if client == self.room:
            return super().on_client_action(client, action)
        match action:
            case Speak(pcm, last):
                self._gathered_speech[client] = self._gathered_speech.get(client, b"") + pcm
                return self.on_client_action(client, SpeakEnd()) if last else []
            case SpeakEnd():
                pcm = self._gathered_speech.pop(client, b"")
                if pcm:
                    self._queue.append((client, pcm))
                return self._tell_all([])
            case InterruptTurn():
                self._forget_speech_of(client)
                if self._is_idle() or self._speaker != client:
                    return [Tell(client, Interrupted("nothing of yours is heard"))]
                return self._tell_all(super().on_client_action(self.room, action))
        return super().on_client_action(client, action)

    def on_session_opened(self, session_id: str) -> list[RelayCommand]:
        return self._tell_all(super().on_session_opened(session_id))

    def on_server_frame(
        self, session_id: str, raw: bytes, value: Message | Undecodable
    ) -> list[RelayCommand]:
        return self._tell_all(super().on_server_frame(session_id, raw, value))

    def on_server_silent(self, session_id: str) -> list[RelayCommand]:
        return self._tell_all(super().on_server_silent(session_id))

    def on_session_lost(self, session_id: str, why: str) -> list[RelayCommand]:
        return self._tell_all(super().on_session_lost(session_id, why))

    def _forget_speech_of(self, client: str) -> None:
        """Forget what a client has said that is not heard yet."""
        self._gathered_speech.pop(client, None)
        self._queue = deque((speaker, pcm) for speaker, pcm in self._queue if speaker != client)

    def _is_idle(self) -> bool:
        """Return whether no turn is heard."""
        return not any(session.turn for session in self._sessions_of(self.room))

    def _tell_all(self, commands: list[RelayCommand]) -> list[RelayCommand]:
        """Return the commands, with the room's messages addressed to each listener, and those of the next
        turn if no turn is heard."""
        told: list[RelayCommand] = []
        for command in commands:
            if isinstance(command, Tell) and command.client_id == self.room:
                told += [replace(command, client_id=listener) for listener in self._listeners]
            else:
                told.append(command)
        if not (self._queue and self._is_idle()):
            return told
        self._speaker, pcm = self._queue.popleft()
        self._listeners = list(self.clients)
        return told + self._tell_all(super().on_client_action(self.room, Speak(pcm, last=True)))


class OneRoomForClips(OneRoomForAll):
    """Plays clips, and lets all clients hear the same."""

    policy = replace(PLAYS_CLIPS, session_scope=SessionScope.CLIENT)


def _split_into_sentences(pcm: bytes) -> list[bytes]:
    """Cut a clip into sentences, all but the last of them of the same size. None if the audio is empty."""
    size = len(pcm) // _SENTENCES // _ALIGNED_BYTES * _ALIGNED_BYTES
    starts = [number * size for number in range(_SENTENCES)] if size else []
    return [pcm[start:end] for start, end in zip(starts, [*starts[1:], None], strict=False)]
