"""A trace, joined: what turns, requests, conversations and deliveries are to the rules."""

from dataclasses import dataclass, field

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, keyframe_count
from spatius_sim.protocol.messages import ConfigureSession, MotionResponse
from spatius_sim.trace.events import Event, Trace

ORDINARY_BYTES = 51_200
"""The largest payload of an ordinary turn: the recording's largest has 49.9 kB."""


@dataclass(slots=True)
class SentPayload:
    """A payload as Motion Server sent it, and where it arrived."""

    seq: int
    raw: bytes
    response: MotionResponse
    request: "UpstreamRequest"
    deliveries: list["Delivery"] = field(default_factory=list)


@dataclass(slots=True)
class UpstreamRequest:
    """All that shared one req_id on one upstream connection."""

    connection: str
    req_id: str
    first_seq: int
    configured: ConfigureSession
    audio: bytearray = field(default_factory=bytearray)
    messages: list[bytes] = field(default_factory=list)
    """The same, message by message."""
    ends: list[int] = field(default_factory=list)
    payloads: list[SentPayload] = field(default_factory=list)
    broken_off: bool = False
    interrupted_seq: int | None = None
    reuses: "UpstreamRequest | None" = None
    """The request before it, whose req_id it takes after its end or interrupt."""
    turn: "Turn | None" = None
    told_by_audio: bool = False
    """Whether the audio itself told the turn."""

    @property
    def sample_rate(self) -> int:
        """In Hz; 0 where nothing was configured."""
        return self.configured.sample_rate

    @property
    def answered(self) -> bool:
        """Whether its motion was sent to its end."""
        return any(payload.response.end for payload in self.payloads)


@dataclass(slots=True)
class Delivery:
    """A payload as it arrived at a client."""

    seq: int
    client: str
    raw: bytes
    conversation: "Conversation | None"
    labelled: bool = False
    """Whether a turn id told the client its conversation."""
    sent: SentPayload | None = None
    doubled: bool = False


@dataclass(slots=True)
class AudioPiece:
    """Audio as it arrived at a client, and the turn that it was spoken in, where the audio itself tells."""

    seq: int
    pcm: bytes
    turn: "Turn | None"


@dataclass(slots=True)
class Conversation:
    """One round of audio at one client, by the client's own reckoning, and the motion that joined it."""

    client: str
    first_seq: int
    labelled: bool = False
    """Whether a turn id tells it from others."""
    audio: bytearray = field(default_factory=bytearray)
    pieces: list[AudioPiece] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    motion_marks: list[int] = field(default_factory=list)
    turn: "Turn | None" = None

    @property
    def first_audio_seq(self) -> int | None:
        """Where its first audio arrived that was not empty."""
        return self.pieces[0].seq if self.pieces else None

    @property
    def last_audio_seq(self) -> int | None:
        """Where its last audio arrived that was not empty."""
        return self.pieces[-1].seq if self.pieces else None


@dataclass(slots=True)
class Turn:
    """One planned utterance of one client. `since_seq` is where the wait for the client's turn before ended,
    `until_seq` where its next turn begins; `faults` fell in between `since_seq` and the end of its wait, and
    `failures` are those among them that excuse a relay. `calm`: its client let it finish, and it was waited
    for to its end; `clean`: Motion Server did not fail, either, and sent nothing larger than usual."""

    client: str
    number: int
    since_seq: int
    started_seq: int
    until_seq: int
    pcm: bytes
    sample_rate: int
    waited_seq: int | None = None
    complete: bool = False
    """Whether both halves had come when the wait for it ended."""
    interrupted_seq: int | None = None
    before: "Turn | None" = None
    calm: bool = False
    clean: bool = False
    faults: list[Event] = field(default_factory=list)
    failures: list[Event] = field(default_factory=list)
    requests: list[UpstreamRequest] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    swallowed_by: Conversation | None = None
    """The conversation of an earlier turn in which this turn's audio went on, unseparated."""

    @property
    def name(self) -> str:
        """The turn in words."""
        return f"turn {self.number + 1} of {self.client}"

    @property
    def has_keyframe(self) -> bool:
        """Whether its audio is long enough for a keyframe."""
        samples = len(self.pcm) // BYTES_PER_SAMPLE
        return self.sample_rate > 0 and keyframe_count(samples, self.sample_rate) > 0

    @property
    def abandoned(self) -> bool:
        """Whether its client interrupted it, or went on before both halves had come."""
        return self.interrupted_seq is not None or self.waited_seq is None

    @property
    def unfinished(self) -> bool:
        """Whether a relay may have left it without its end marks."""
        return self.abandoned or bool(self.failures)

    @property
    def lost_motion(self) -> bool:
        """Whether a failure kept Motion Server from sending all of its motion. One that the relay made good
        by asking again did not."""
        if not self.failures:
            return False
        made_good = any(r.answered and r.first_seq > self.failures[0].seq for r in self.requests)
        return not made_good and not (self.requests and all(r.answered for r in self.requests))

    @property
    def largest(self) -> int:
        """Bytes of the largest payload that Motion Server sent for it."""
        return max((len(payload.raw) for payload in self.payloads), default=0)

    @property
    def audio_down(self) -> bytes:
        """What of its audio came down, without what is known to be another turn's."""
        pieces = (piece for conversation in self.conversations for piece in conversation.pieces)
        return b"".join(piece.pcm for piece in pieces if piece.turn in (None, self))

    @property
    def payloads(self) -> list[SentPayload]:
        """What Motion Server sent for it, in order."""
        sent = [payload for request in self.requests for payload in request.payloads]
        return sorted(sent, key=lambda payload: payload.seq)


@dataclass(slots=True)
class Story:
    """A trace, joined."""

    trace: Trace
    turns: list[Turn]
    requests: list[UpstreamRequest]
    conversations: list[Conversation]
    deliveries: list[Delivery]
    output_rates: dict[str, int]

    @property
    def upstream_unseen(self) -> bool:
        """Whether the downstream half alone was there to see."""
        return self.trace.header.halves == "downstream"

    def arrived_during(self, turn: Turn) -> list[Delivery]:
        """The motion that the turn's client got before its next turn."""
        return [
            delivery
            for delivery in self.deliveries
            if delivery.client == turn.client and turn.started_seq < delivery.seq < turn.until_seq
        ]

    @property
    def clean_turns(self) -> list[Turn]:
        """Turns with at least one keyframe of audio, no failure, no hang-up, no bad client before their end
        and no payload that is larger than usual, waited for to it."""
        return [turn for turn in self.turns if turn.clean]
