"""Holds the requests of one connection, and forgets those that ended long ago."""

from dataclasses import dataclass, field

from spatius_sim.model.server.decode_audio_input import AudioDecoder, PcmDecoder
from spatius_sim.model.server.motion_answers import RecordedAnswer, RequestMotion
from spatius_sim.protocol.request_states import TurnState

MAX_ENDED_REQUESTS = 256
"""How many ended req_ids are remembered, to tell audio under an ended req_id from a new request."""

LONGEST_REQ_ID = 256
"""The most characters of a req_id. ASSUMED: the req_ids of the SDKs have 27."""


@dataclass(slots=True)
class OpenRequest:
    """One request: all messages that share a req_id.

    `number` counts the requests of a connection from 1. `ordinal` counts the requests of all connections
    since the scenario began (0: the request was open before). `began_at` is in monotonic seconds.

    `message_count` and `sample_count` count the audio that has arrived; `payload_count` and `keyframe_count`
    the motion that was made; `unmade_count` the payloads that still wait for their time; `response_count` the
    responses that were sent. `held_payloads` are the payloads that a fault keeps back.
    """

    req_id: str
    number: int
    answer: RequestMotion
    audio_decoder: AudioDecoder
    ordinal: int
    began_at: float
    state: TurnState = TurnState.UPLOADING
    message_count: int = 0
    sample_count: int = 0
    payload_count: int = 0
    keyframe_count: int = 0
    unmade_count: int = 0
    response_count: int = 0
    failed: bool = False
    ended: bool = False
    held_payloads: list[bytes] = field(default_factory=list)

    def fail(self) -> None:
        """Mark the open request as failed: Motion Server answers it no more. Free its audio and motion."""
        self.failed = True
        self.held_payloads.clear()
        self.drop()

    def drop(self) -> None:
        """Free the memory of the request's audio and motion, which are needed no more."""
        self.answer, self.audio_decoder = RecordedAnswer((), 1), PcmDecoder()


@dataclass(slots=True)
class Requests:
    """The requests of one connection, by req_id."""

    newest: OpenRequest | None = None
    _by_req_id: dict[str, OpenRequest] = field(default_factory=dict)
    _open_count: int = 0
    _request_count: int = 0

    def get(self, req_id: str) -> OpenRequest | None:
        """Return the request of this id, or None if it is unknown."""
        return self._by_req_id.get(req_id)

    def reason_to_refuse(self, req_id: str, max_open: int) -> str:
        """Return the text that says why Motion Server refuses to open a request with this req_id on a
        connection; "" if it does not refuse. A req_id can be too long, and at most `max_open` requests may be
        open at once."""
        if len(req_id) > LONGEST_REQ_ID:
            return f"a req_id has at most {LONGEST_REQ_ID} characters"
        if self._open_count >= max_open:
            return f"{max_open} requests are open already: end one with end=true, or interrupt it"
        return ""

    def add(
        self,
        req_id: str,
        answer: RequestMotion,
        audio_decoder: AudioDecoder,
        ordinal: int,
        began_at: float,
    ) -> OpenRequest:
        """Open a new request of the connection, remember it as the newest, and return it. `audio_decoder`
        turns its audio into PCM, and `answer` makes its motion. `ordinal` is its number among all requests
        since the scenario began; `began_at` is in monotonic seconds."""
        self._request_count += 1
        self._open_count += 1
        request = OpenRequest(req_id, self._request_count, answer, audio_decoder, ordinal, began_at)
        self._by_req_id[req_id] = self.newest = request
        return request

    def forget_ordinals(self) -> None:
        """Mark every request as older than the new scenario (ordinal 0)."""
        for request in self._by_req_id.values():
            request.ordinal = 0

    def end(self, request: OpenRequest, state: TurnState) -> None:
        """End a request of the connection, so that it takes no more audio: set its state, and free the memory
        of its audio and motion. If it has ended already, only its state changes. If now more than
        MAX_ENDED_REQUESTS ended requests are remembered, forget the oldest."""
        if not request.ended:
            request.ended = True
            self._open_count -= 1
        request.state = state
        request.drop()
        ended_count = len(self._by_req_id) - self._open_count
        if ended_count > MAX_ENDED_REQUESTS:
            oldest_req_id = next(req_id for req_id, other in self._by_req_id.items() if other.ended)
            del self._by_req_id[oldest_req_id]

    def clear(self) -> None:
        """Forget all requests of the connection, open or ended."""
        self._by_req_id.clear()
        self.newest = None
        self._open_count = 0
