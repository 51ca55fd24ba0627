"""Lets real time pass for a client under test that has a clock of its own.

Each call takes time until it is answered, and nobody sees when in this time the client takes the call. So
the fastest correct client begins to play when a call is asked and stops when it is answered, and the slowest
begins with the answer and stops with the request."""

from spatius_sim.story.client_exchanges import Exchange
from spatius_sim.story.client_story import ClientConversation, ClientStory, Kind, MotionCall
from spatius_sim.story.note_client_calls import StateAfterCalls

_NS_PER_MS = 1_000_000
_MAY_START = ("yieldAudioData", "yieldFramesData", "resume")
"""The calls that may let a client begin to play, or play on."""


class RealClientTime(StateAfterCalls):
    """Keeps what is certain about a client under test whose clock is real."""

    def __init__(self, story: ClientStory) -> None:
        """Begin to keep what is certain about a client whose clock is real, before the first call to it. The
        slowest and the fastest client that the rules allow are the limits of what is certain."""
        super().__init__(story)
        # Up to when time has passed for the slowest and for the fastest client.
        self.slowest_ns = self.fastest_ns = 0
        # How far the fastest client had played (in samples * 1000) when the latest call was asked, and when
        # it was answered, but before the call itself was noted.
        self.position_when_asked = self.position_when_answered = 0
        # A conversation that a call has ended since the latest observation. The client may have rendered its
        # motion up to this keyframe before it took the call: the next observation may show that.
        self.cut_off_conversation: ClientConversation | None = None
        self.cut_off_keyframe = -1

    def pass_time_until_answer(self, exchange: Exchange) -> None:
        """Let the time since the previous call pass for the fastest and the slowest correct client, the
        limits of how far the client can have played. The fastest client plays on until the answer. The
        slowest does so, too, but at `observe` and `pause` only until the request: it may have reported its
        position, or stopped, as soon as the request was sent."""
        self._pass_for_fastest_until(exchange.asked_ns)
        self.position_when_asked = self.fastest_position
        self._pass_for_fastest_until(exchange.answered_ns)
        self.position_when_answered = self.fastest_position
        call_name = exchange.request.do
        slowest_until_ns = exchange.asked_ns if call_name in ("observe", "pause") else exchange.answered_ns
        self._pass_for_slowest_until(slowest_until_ns)
        if call_name == "pause":
            # It may stand still since the request, surely since the answer.
            self.slowest_ns = exchange.answered_ns

    def note_progress_during_call(
        self, exchange: Exchange, conversation_before: ClientConversation | None
    ) -> None:
        """Note how far the client, whose real clock ran on while it was asked, may at most have played when
        the answer to this call came. The call itself is noted already.

        If the call ended the previous conversation (`conversation_before`), the client may have shown that
        conversation up to the answer: note the last keyframe for which this is so. If the call may have
        started the audio, or let it go on, the fastest correct client has played since the request."""
        current = self.conversation
        if conversation_before is not None and conversation_before is not current:
            keyframe_when_answered = self.story.keyframe_at(self.position_when_answered // 1000)
            self.cut_off_conversation = conversation_before
            self.cut_off_keyframe = keyframe_when_answered + self.story.keyframe_tolerance
        stands_still = self.paused and not self.pause_undefined
        if current is None or stands_still or exchange.request.do not in _MAY_START:
            return
        start_position = self.position_when_asked if current is conversation_before else 0
        # How long the call took, rounded up.
        took_ms = -((exchange.asked_ns - exchange.answered_ns) // _NS_PER_MS)
        furthest_position = min(self.playable_end, start_position + took_ms * self.story.sample_rate)
        self.fastest_position = max(self.fastest_position, furthest_position)

    def may_be_from_cut_off_conversation(self, origins: list[tuple[MotionCall, int]]) -> bool:
        """Return whether a rendered keyframe may come from the conversation that a call, such as an
        interrupt, has just cut off. On a real clock, a client takes a call some time after it was sent, and
        renders motion until then. `origins` are the calls that gave motion with this keyframe, each with the
        keyframe's number in its conversation. Only motion that had to be shown (Kind.MATCH) counts."""
        return any(
            call.kind is Kind.MATCH
            and call.conversation is self.cut_off_conversation
            and number <= self.cut_off_keyframe
            for call, number in origins
        )

    def _pass_for_fastest_until(self, until_ns: int) -> None:
        ms = (until_ns - self.fastest_ns) // _NS_PER_MS
        self.pass_time_for_fastest(ms)
        self.fastest_ns += ms * _NS_PER_MS

    def _pass_for_slowest_until(self, until_ns: int) -> None:
        ms = (until_ns - self.slowest_ns) // _NS_PER_MS
        self.pass_time_for_slowest(ms)
        self.slowest_ns += ms * _NS_PER_MS
