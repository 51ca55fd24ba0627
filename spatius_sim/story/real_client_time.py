"""Lets real time pass for a client under test that has a clock of its own.

Each call takes time until it is answered, and nobody sees when in this time the client takes the call. So
the fastest honest client begins to play when a call is asked and stops when it is answered, and the slowest
begins with the answer and stops with the request."""

from spatius_sim.story.certain_client_state import CertainClientState
from spatius_sim.story.client_exchanges import Exchange
from spatius_sim.story.client_story import ClientConversation, ClientStory, Kind, MotionCall

_NS_PER_MS = 1_000_000
_MAY_START = ("yieldAudioData", "yieldFramesData", "resume")
"""The calls that may let a client begin to play, or play on."""


class RealClientTime(CertainClientState):
    """Keeps what is certain about a client under test whose clock is real.

    `slowest_ns` and `fastest_ns`: up to when time has passed for the slowest and for the fastest client.
    `position_when_asked`, `position_when_answered`: the position of the fastest client when the latest call
    was asked, and when it was answered but not yet noted, in samples * 1000. `cut_off` is a conversation that
    was ended by a call since the latest observation: the client may have rendered its motion up to keyframe
    `cut_off_keyframe` before it took the call, so that the next observation may show it."""

    def __init__(self, story: ClientStory) -> None:
        """Begin with what is certain before the first call: no time has passed."""
        super().__init__(story)
        self.slowest_ns = self.fastest_ns = 0
        self.position_when_asked = self.position_when_answered = 0
        self.cut_off: ClientConversation | None = None
        self.cut_off_keyframe = -1

    def pass_time_until_answer(self, exchange: Exchange) -> None:
        """Let the time pass from the call before to this one, until the client has surely taken this one."""
        self._pass_for_fastest_until(exchange.asked_ns)
        self.position_when_asked = self.fastest_position
        self._pass_for_fastest_until(exchange.at_ns)
        self.position_when_answered = self.fastest_position
        do = exchange.request.do
        self._pass_for_slowest_until(exchange.asked_ns if do in ("observe", "pause") else exchange.at_ns)
        if do == "pause":
            self.slowest_ns = exchange.at_ns  # It may stand still since the request, surely since the answer.

    def note_time_of_call(self, exchange: Exchange, before: ClientConversation | None) -> None:
        """Note what the client may have done between a call and its answer, once the call itself is noted:
        it may have shown more of `before`, the conversation before the call, or have played new audio."""
        current = self.conversation
        if before is not None and before is not current:
            due = self.story.keyframe_at(self.position_when_answered // 1000)
            self.cut_off, self.cut_off_keyframe = before, due + self.story.keyframe_tolerance
        stands_still = self.paused and not self.pause_undefined
        if current is None or stands_still or exchange.request.do not in _MAY_START:
            return
        begun_at = self.position_when_asked if current is before else 0
        took_ms = -((exchange.asked_ns - exchange.at_ns) // _NS_PER_MS)
        may_be_at = min(self.playable_end, begun_at + took_ms * self.story.sample_rate)
        self.fastest_position = max(self.fastest_position, may_be_at)

    def may_be_of_cut_off(self, origins: list[tuple[MotionCall, int]]) -> bool:
        """Return whether a keyframe that came at these `origins` (calls, each with the number of the keyframe
        in its conversation) may have been rendered before a call ended its conversation."""
        return any(
            call.kind is Kind.MATCH and call.conversation is self.cut_off and number <= self.cut_off_keyframe
            for call, number in origins
        )

    def _pass_for_fastest_until(self, ns: int) -> None:
        ms = (ns - self.fastest_ns) // _NS_PER_MS
        self.pass_time_for_fastest(ms)
        self.fastest_ns += ms * _NS_PER_MS

    def _pass_for_slowest_until(self, ns: int) -> None:
        ms = (ns - self.slowest_ns) // _NS_PER_MS
        self.pass_time_for_slowest(ms)
        self.slowest_ns += ms * _NS_PER_MS
