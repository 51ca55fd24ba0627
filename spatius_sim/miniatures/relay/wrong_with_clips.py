"""Relays that choose what is spoken, and are wrong in exactly one way."""

from collections.abc import Callable
from dataclasses import replace

from spatius_sim.miniatures.relay.honest_relays import (
    PLAYS_CLIPS,
    PLAYS_CLIPS_WITHOUT_TURN_IDS,
    MarksAudioOfClipsLast,
    SpeaksSentencesAtOnce,
)
from spatius_sim.miniatures.relay.wrong_relays import BroadcastsMotion
from spatius_sim.miniatures.relay.wrong_with_clients import (
    FallsOverRubbish,
    KeepsAllWaiting,
    LabelsStaleMotionAnew,
    LeavesSessionsOpen,
    PassesStaleMotionOn,
)
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.policy import SessionScope
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, speech
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.wires.events import ClientAction, InterruptTurn


class FallsMute(PlainRelay):
    """Answers nothing more to a client once something has gone wrong."""

    policy = PLAYS_CLIPS

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self.mute: set[str] = set()

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        return [] if client in self.mute else super().on_client_action(client, action)


class FallsMuteAfterAFailure(FallsMute):
    """Tells its client that motion failed, and then plays it no clip any more."""

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self.mute.add(turn.client_id)
        return super().tell_failure(turn, why)


class FallsMuteAfterAnInterrupt(FallsMute):
    """Plays no clip any more to a client that interrupts when no clip is played."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn) and not any(s.turn for s in self._sessions_of(client)):
            self.mute.add(client)
        return super().on_client_action(client, action)


class SaysNothingAtTheDoor(PlainRelay):
    """Plays nothing of a clip until its session is confirmed, and says nothing if that never happens."""

    policy = PLAYS_CLIPS

    def may_start(self, turn: RelayTurn) -> bool:
        return turn.session.confirmed

    def _fail_turn(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        return super()._fail_turn(turn, why) if turn.session.confirmed else self._end_turn(turn)


class PassesStaleMotionOfClips(PassesStaleMotionOn):
    """Leaves the session of a clip that was cut off open, and passes its motion on."""

    policy = PLAYS_CLIPS_WITHOUT_TURN_IDS


class LabelsStaleMotionOfClipsAnew(LabelsStaleMotionAnew):
    """Leaves the session of a clip that was cut off open, and passes its motion on as the newest clip's."""

    policy = PLAYS_CLIPS


class LeavesSessionsOfClipsOpen(LeavesSessionsOpen):
    """Keeps one upstream session for all clips of a client, and does not close it when the client leaves."""

    policy = replace(PLAYS_CLIPS, session_scope=SessionScope.CLIENT)


class KeepsAllWaitingForTheirClips(KeepsAllWaiting):
    """Plays clips to one client at a time, however long that client takes."""

    policy = replace(PLAYS_CLIPS, clip=speech("a long clip", 50 * PLAN_SAMPLE_RATE))


class FallsOverRubbishBetweenClips(FallsOverRubbish):
    """Drops the clips of all clients when one client sends a message that it does not understand."""

    policy = PLAYS_CLIPS


class BroadcastsMotionOfClips(BroadcastsMotion):
    """Sends the motion of a clip to all clients that are connected."""

    policy = PLAYS_CLIPS


class PassesSentencesAsTheyCome(SpeaksSentencesAtOnce):
    """Sends the sentences of a clip up in sessions of their own, and passes their motion on as it comes."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        sentences = self._sentences[turn.turn_id]
        is_last = len(sentences) == 1
        if message.end:
            sentences.remove(turn)
        ending = replace(message, end=message.end and is_last)
        return PlainRelay.send_motion_to_client(self, turn, raw, ending)


class MarksAudioBeforeMotion(PlainRelay):
    """Marks the end of its audio at once, on a wire whose clients drop the motion that comes later."""

    policy = PLAYS_CLIPS_WITHOUT_TURN_IDS
    wire = "typed-json-voice"


class MarksAudioBeforeLastMotion(MarksAudioOfClipsLast):
    """Marks the end of its audio when the last motion has come to it, and only then passes this motion on."""

    wire = "typed-json-voice"

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        mark = self.mark_at_last(turn) if message.end else []
        return mark + super().send_motion_to_client(turn, raw, message)


CLIP_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-RECOVER": (FallsMuteAfterAFailure,),
    "R-ERROR-TOLD": (SaysNothingAtTheDoor,),
    "R-CONVERSATION": (FallsMuteAfterAnInterrupt,),
    "R-MOTION-ORDER": (PassesSentencesAsTheyCome,),
    "R-STALE": (PassesStaleMotionOfClips, LabelsStaleMotionOfClipsAnew),
    "R-LATE-MARK": (MarksAudioBeforeMotion, MarksAudioBeforeLastMotion),
    "U-HANGUP": (LeavesSessionsOfClipsOpen,),
    "R-SLOWCLIENT": (KeepsAllWaitingForTheirClips,),
    "R-BADINPUT": (FallsOverRubbishBetweenClips,),
    "R-ISOLATION": (BroadcastsMotionOfClips,),
}
"""The relays that break each rule, and no other rule, though they choose themselves what is spoken."""
