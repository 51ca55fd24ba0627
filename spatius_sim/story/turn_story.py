"""What the rules of a relay or a server judge: turns, requests, conversations and deliveries."""

from dataclasses import dataclass, field

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, is_same_speech, keyframe_count
from spatius_sim.protocol.messages import ConfigureSession, MotionResponse
from spatius_sim.trace.events import Awaited, Event, Trace, WaitEnded

ORDINARY_BYTES = 51_200
"""The largest payload of an ordinary turn, in bytes: the recording's largest has 49.9 kB."""


@dataclass(slots=True)
class SentPayload:
    """A payload that Motion Server sent as event `seq`, and the deliveries in which it arrived."""

    seq: int
    raw: bytes
    response: MotionResponse
    request: "UpstreamRequest"
    deliveries: list["Delivery"] = field(default_factory=list)


@dataclass(slots=True)
class UpstreamRequest:
    """One req_id on one upstream connection: the audio that went up and the payloads that came back. `ends`
    are the events with end=true; `stopped_early` says that an interrupt, an error or a close of the kit
    ended it early, as our Motion Server before it had sent all motion."""

    connection: str
    req_id: str
    first_seq: int
    configured: ConfigureSession
    audio: bytearray = field(default_factory=bytearray)
    messages: list[bytes] = field(default_factory=list)
    """The same audio, message by message."""
    ends: list[int] = field(default_factory=list)
    payloads: list[SentPayload] = field(default_factory=list)
    stopped_early: bool = False
    interrupted_seq: int | None = None
    given_up_seq: int | None = None
    """The event by which the relay closed the connection or interrupted, before Motion Server had sent all
    motion of a request whose audio had ended; None if it did not."""
    reuses: "UpstreamRequest | None" = None
    """The earlier request of the same req_id, after whose end or interrupt this request began."""
    turn: "Turn | None" = None
    found_by_audio: bool = False
    """Whether the audio itself showed which turn this is."""

    @property
    def sample_rate(self) -> int:
        """The sample rate in Hz; 0 if nothing was configured."""
        return self.configured.sample_rate

    @property
    def answered(self) -> bool:
        """Whether the request's motion was sent to its end."""
        return any(payload.response.end for payload in self.payloads)


@dataclass(slots=True)
class Delivery:
    """A payload that arrived at a client. `sent` is the payload of the same bytes that Motion Server sent;
    `doubled` says that the client had it before."""

    seq: int
    client: str
    raw: bytes
    conversation: "Conversation | None"
    labelled: bool = False
    """Whether a turn id named the conversation of the payload."""
    sent: SentPayload | None = None
    doubled: bool = False


@dataclass(slots=True)
class AudioPiece:
    """Audio that arrived at a client. `turn` is the turn in which it was spoken; None if the bytes do not
    show that."""

    seq: int
    pcm: bytes
    turn: "Turn | None"


@dataclass(slots=True)
class Conversation:
    """One conversation as one client separates it from the next: its audio and its end marks. `marks` and
    `motion_marks` are the events that marked audio and motion as ended."""

    client: str
    first_seq: int
    turn_id: str = ""
    """The turn id that separates this conversation from others; "" if none does."""
    audio: bytearray = field(default_factory=bytearray)
    pieces: list[AudioPiece] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    motion_marks: list[int] = field(default_factory=list)
    void_marks: list[int] = field(default_factory=list)
    """The events that marked motion as ended before any motion of the conversation had come. They mark
    nothing: each is an empty list."""
    turn: "Turn | None" = None
    same_id_before: "Conversation | None" = None
    """The conversation before this one, on the same connection, that had the same turn id."""

    @property
    def labelled(self) -> bool:
        """Whether a turn id separates this conversation from others."""
        return bool(self.turn_id)

    @property
    def first_audio_seq(self) -> int | None:
        """The event that brought the first non-empty audio; None if no audio came."""
        return self.pieces[0].seq if self.pieces else None

    @property
    def last_audio_seq(self) -> int | None:
        """The event that brought the last non-empty audio; None if no audio came."""
        return self.pieces[-1].seq if self.pieces else None


@dataclass(slots=True)
class Turn:
    """One planned utterance of one client.

    Four events bound the turn. `since_seq` ended the wait for the client's turn before. `started_seq` began
    this turn. `until_seq` begins the client's next turn. `waited_seq` ended the wait for this turn (None if
    the client did not wait for its end).

    `faults` are the injected faults between `since_seq` and the end of the wait; `failures` are those faults
    that excuse a relay. `calm`: nothing disturbed the turn; its client let the turn finish, and our kit
    waited for the end. `clean`: the turn is calm, Motion Server did not fail, and it sent no payload larger
    than usual.
    """

    client: str
    number: int
    since_seq: int
    started_seq: int
    until_seq: int
    pcm: bytes
    sample_rate: int
    waited_seq: int | None = None
    complete: bool = False
    """Whether audio and motion had come to their end when the wait for the turn ended."""
    interrupted_seq: int | None = None
    half_sample: bool = False
    """Whether the client sent an odd number of bytes of speech, so that it stopped within a sample."""
    speech_begun: bool = False
    """Whether the client was seen to say some of the turn."""
    speech_ended: bool = False
    """Whether the client was seen to say that the turn's speech is over."""
    merged: bool = False
    """Whether the relay lawfully took the speech of this turn and of a neighbouring turn for one."""
    before: "Turn | None" = None
    calm: bool = False
    clean: bool = False
    faults: list[Event] = field(default_factory=list)
    failures: list[Event] = field(default_factory=list)
    requests: list[UpstreamRequest] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    swallowed_by: Conversation | None = None
    """The conversation of an earlier turn to which this turn's audio was added, without an end mark
    between."""

    @property
    def name(self) -> str:
        """The turn in words, such as `turn 2 of client-1`."""
        return f"turn {self.number + 1} of {self.client}"

    @property
    def has_keyframe(self) -> bool:
        """Whether the turn's audio is long enough for a keyframe."""
        samples = len(self.pcm) // BYTES_PER_SAMPLE
        return self.sample_rate > 0 and keyframe_count(samples, self.sample_rate) > 0

    @property
    def may_be_off_by_half_sample(self) -> bool:
        """Whether the audio of this turn may be off by half a sample (one byte): in this turn or in an
        earlier one, the client stopped speaking after an odd number of bytes."""
        turn: Turn | None = self
        while turn is not None and not turn.half_sample:
            turn = turn.before
        return turn is not None

    def is_same_speech(self, first: bytes, second: bytes, sample_rate: int) -> bool:
        """Return whether two pieces of audio (PCM) of this turn hold the same speech, apart from silence that
        fills up a packet.

        If the turn's audio ends in half a sample, both may differ there: no document forbids a relay to leave
        this half out, or to make a whole sample of it."""
        if is_same_speech(first, second, sample_rate) or not self.half_sample:
            return is_same_speech(first, second, sample_rate)
        whole_bytes = len(self.pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        return (
            first[:whole_bytes] == second[:whole_bytes] and abs(len(first) - len(second)) <= BYTES_PER_SAMPLE
        )

    @property
    def abandoned(self) -> bool:
        """Whether the client interrupted the turn, or began the next before audio and motion had ended."""
        return self.interrupted_seq is not None or self.waited_seq is None

    @property
    def left_open(self) -> bool:
        """Whether the client interrupted the turn before it had said the end of its speech. What becomes of
        such speech is open: no document says whether an interrupt drops it."""
        return self.interrupted_seq is not None and self.speech_begun and not self.speech_ended

    @property
    def unfinished(self) -> bool:
        """Whether a relay may leave the turn without end marks: the turn was abandoned, or a failure fell in
        it."""
        return self.abandoned or bool(self.failures)

    @property
    def has_lost_motion(self) -> bool:
        """Whether Motion Server, because of a failure, did not send all motion of this turn. False if the
        relay asked again for all of it after the first failure, and got it. False, too, if all requests of
        the turn were answered."""
        if not self.failures:
            return False
        later_audio = [
            request.audio
            for request in self.requests
            if request.answered and request.first_seq > self.failures[0].seq
        ]
        unanswered = [request for request in self.requests if not request.answered]
        if not unanswered and self.requests:
            return False
        return not later_audio or any(
            all(request.audio not in audio for audio in later_audio) for request in unanswered
        )

    @property
    def largest(self) -> int:
        """The size of the largest payload that Motion Server sent for the turn, in bytes."""
        return max((len(payload.raw) for payload in self.payloads), default=0)

    @property
    def audio_down(self) -> bytes:
        """The audio that arrived in the turn's conversations, without pieces of another turn."""
        pieces = (piece for conversation in self.conversations for piece in conversation.pieces)
        return b"".join(piece.pcm for piece in pieces if piece.turn in (None, self))

    def join_audio_sent_up(self, requests: list[UpstreamRequest]) -> bytes:
        """Return the audio that went up in these requests of the turn, in the order in which it was
        spoken."""
        return b"".join(sort_as_spoken([bytes(request.audio) for request in requests], self.pcm))

    @property
    def payloads(self) -> list[SentPayload]:
        """The payloads that Motion Server sent for the turn, in order."""
        sent = [payload for request in self.requests for payload in request.payloads]
        return sorted(sent, key=lambda payload: payload.seq)


def sort_as_spoken(pieces: list[bytes], speech: bytes) -> list[bytes]:
    """Return pieces of a turn's audio in the order in which they were spoken in the turn, whose whole speech
    is `speech`. A relay may open a session to Motion Server for each sentence of a turn, and one may open
    later than that of the next sentence.

    Return the pieces in their own order if the speech holds them so, one after the other, or if one of them
    is not found in the speech. (A silent piece may be found where it was not spoken.)"""
    if len(pieces) < 2:
        return pieces  # As nearly always: long speech is not searched.
    places = {piece: speech.find(piece) for piece in pieces}
    in_own_order = b"".join(pieces) in speech
    return pieces if in_own_order or -1 in places.values() else sorted(pieces, key=places.__getitem__)


def find_latest_turn(seq: int, turns: list[Turn]) -> Turn | None:
    """Return the turn that began last before event number `seq`; None if there is none."""
    begun = [turn for turn in turns if turn.started_seq < seq]
    return max(begun, key=lambda turn: turn.started_seq, default=None)


@dataclass(slots=True)
class Story:
    """A joined trace. `output_rates` maps each client to the sample rate of the audio that it gets, in Hz."""

    trace: Trace
    turns: list[Turn]
    requests: list[UpstreamRequest]
    conversations: list[Conversation]
    deliveries: list[Delivery]
    output_rates: dict[str, int]

    @property
    def lost(self) -> bool:
        """Whether the subject gave no sign of life any more after what the trace holds."""
        no_sign = WaitEnded(Awaited.LIFE, complete=False)
        return any(event.content == no_sign for event in reversed(self.trace.events))

    @property
    def upstream_unseen(self) -> bool:
        """Whether the trace holds only the downstream half."""
        return self.trace.header.halves == "downstream"

    def find_stale_motion_marks(self, turn: Turn) -> list[int]:
        """Return the numbers of the events with stale end marks of motion: they came in this turn, but can
        only mean the motion of the previous turn. That turn must have been cut off after its motion had
        begun, and its end was never marked.

        Only marks before any motion of this turn count (`void_marks`), and only in conversations without a
        turn id (not `labelled`)."""
        previous_turn = turn.before
        if (
            previous_turn is None
            or not previous_turn.abandoned
            or any(conversation.motion_marks for conversation in previous_turn.conversations)
        ):
            return []
        motion_had_begun = any(
            delivery.client == previous_turn.client
            for payload in previous_turn.payloads
            for delivery in payload.deliveries
        )
        if not motion_had_begun:
            return []
        return [
            mark
            for conversation in turn.conversations
            if not conversation.labelled
            for mark in conversation.void_marks
        ]

    def deliveries_during(self, turn: Turn) -> list[Delivery]:
        """Return the deliveries of motion to this turn's client between the start of this turn and the start
        of the client's next turn."""
        return [
            delivery
            for delivery in self.deliveries
            if delivery.client == turn.client and turn.started_seq < delivery.seq < turn.until_seq
        ]

    @property
    def clean_turns(self) -> list[Turn]:
        """The turns that are judged in full. They have at least a keyframe of audio, and the kit waited for
        their end. No hang-up, interrupt, misbehaving client or large payload came during them, and no failure
        but one that the relay repaired."""
        return [turn for turn in self.turns if turn.clean]
