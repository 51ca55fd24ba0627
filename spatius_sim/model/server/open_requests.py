"""Holds the requests of one connection, and forgets those that ended long ago."""

from dataclasses import dataclass, field

from spatius_sim.model.server.decode_audio_input import AudioIn, PcmIn
from spatius_sim.model.server.motion_answers import RecordedAnswer, RequestMotion
from spatius_sim.protocol.request_states import TurnState

ENDED_KEPT = 256
"""How many ended req_ids are remembered, to tell audio under an ended req_id from a new request."""

LONGEST_REQ_ID = 256
"""The most characters of a req_id. ASSUMED: the req_ids of the SDKs have 27."""


@dataclass(slots=True)
class OpenRequest:
    """One request: all messages that share a req_id.

    `number` counts the requests of a connection from 1. `ordinal` counts the requests of all connections
    since the scenario began (0: the request was open before). `began` is in monotonic seconds.

    Counters: `messages` and `samples` of audio that have arrived; `payloads` and `keyframes` of motion that
    were made; `unmade` payloads that still wait for their time; `responses` that were sent. `held` are the
    payloads that a fault keeps back.
    """

    req_id: str
    number: int
    answer: RequestMotion
    audio: AudioIn
    ordinal: int
    began: float
    state: TurnState = TurnState.UPLOADING
    messages: int = 0
    samples: int = 0
    payloads: int = 0
    keyframes: int = 0
    unmade: int = 0
    responses: int = 0
    failed: bool = False
    ended: bool = False
    held: list[bytes] = field(default_factory=list)

    def fail(self) -> None:
        """Mark the open request as failed: Motion Server answers it no more. Free its audio and motion."""
        self.failed = True
        self.held.clear()
        self.drop()

    def drop(self) -> None:
        """Free the memory of the request's audio and motion."""
        self.answer, self.audio = RecordedAnswer((), 1), PcmIn()


@dataclass(slots=True)
class Requests:
    """The requests of one connection, by req_id."""

    newest: OpenRequest | None = None
    _all: dict[str, OpenRequest] = field(default_factory=dict)
    _open: int = 0
    _count: int = 0

    def get(self, req_id: str) -> OpenRequest | None:
        """Return the request of this id, or None if it is unknown."""
        return self._all.get(req_id)

    def reason_to_refuse(self, req_id: str, most_open: int) -> str:
        """Return why Motion Server may not open a request with this req_id: it is too long, or too many
        requests are open. "" if the request may be opened."""
        if len(req_id) > LONGEST_REQ_ID:
            return f"a req_id has at most {LONGEST_REQ_ID} characters"
        if self._open >= most_open:
            return f"{most_open} requests are open already: end one with end=true, or interrupt it"
        return ""

    def add(
        self, req_id: str, answer: RequestMotion, audio: AudioIn, ordinal: int, began: float
    ) -> OpenRequest:
        """Open a new request of the connection, remember it as the newest, and return it. `audio` decodes its
        audio, `answer` makes its motion; `ordinal` numbers it among all requests of the scenario, and `began`
        is in monotonic seconds."""
        self._count += 1
        self._open += 1
        request = OpenRequest(req_id, self._count, answer, audio, ordinal, began)
        self._all[req_id] = self.newest = request
        return request

    def forget_ordinals(self) -> None:
        """Mark every request as older than the new scenario (ordinal 0)."""
        for request in self._all.values():
            request.ordinal = 0

    def end(self, request: OpenRequest, state: TurnState) -> None:
        """End an open request, so that it takes no more audio, and set its state. If too many ended requests
        are kept, forget the oldest."""
        if not request.ended:
            request.ended = True
            self._open -= 1
        request.state = state
        request.drop()
        if len(self._all) > ENDED_KEPT + self._open:
            oldest = next(req_id for req_id, other in self._all.items() if other.ended)
            del self._all[oldest]

    def clear(self) -> None:
        """Forget all requests of the connection, open or ended."""
        self._all.clear()
        self.newest = None
        self._open = 0
