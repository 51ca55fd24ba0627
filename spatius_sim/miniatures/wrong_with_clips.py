"""Relays that choose what is spoken, and are wrong in exactly one way."""

from collections.abc import Callable

from spatius_sim.miniatures.honest_relays import PLAYS_CLIPS, PLAYS_CLIPS_WITHOUT_TURN_IDS
from spatius_sim.miniatures.wrong_relays import BroadcastsMotion
from spatius_sim.miniatures.wrong_with_clients import (
    FallsOverRubbish,
    KeepsAllWaiting,
    LabelsStaleMotionAnew,
    LeavesSessionsOpen,
    PassesStaleMotionOn,
)
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.wires.events import ClientAction, InterruptTurn


class FallsMute(PlainRelay):
    """Answers nothing more to a client once something has gone wrong."""

    policy = PLAYS_CLIPS

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self.mute: set[str] = set()

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        return [] if client in self.mute else super().client_did(client, action)


class FallsMuteAfterAFailure(FallsMute):
    """Tells its client that motion failed, and then plays it no clip any more."""

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self.mute.add(turn.client)
        return super().failure_down(turn, why)


class FallsMuteAfterAnInterrupt(FallsMute):
    """Plays no clip any more to a client that interrupts when no clip is played."""

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn) and not any(s.turn for s in self._sessions_of(client)):
            self.mute.add(client)
        return super().client_did(client, action)


class PassesStaleMotionOfClips(PassesStaleMotionOn):
    """Leaves the session of a clip that was cut off open, and passes its motion on."""

    policy = PLAYS_CLIPS_WITHOUT_TURN_IDS


class LabelsStaleMotionOfClipsAnew(LabelsStaleMotionAnew):
    """Leaves the session of a clip that was cut off open, and passes its motion on as the newest clip's."""

    policy = PLAYS_CLIPS


class LeavesSessionsOfClipsOpen(LeavesSessionsOpen):
    """Does not close the upstream sessions of a client that left."""

    policy = PLAYS_CLIPS


class KeepsAllWaitingForTheirClips(KeepsAllWaiting):
    """Plays clips to one client at a time, however long that client takes."""

    policy = PLAYS_CLIPS


class FallsOverRubbishBetweenClips(FallsOverRubbish):
    """Drops the clips of all clients when one client sends a message that it does not understand."""

    policy = PLAYS_CLIPS


class BroadcastsMotionOfClips(BroadcastsMotion):
    """Sends the motion of a clip to all clients that are connected."""

    policy = PLAYS_CLIPS


CLIP_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-RECOVER": (FallsMuteAfterAFailure,),
    "R-CONVERSATION": (FallsMuteAfterAnInterrupt,),
    "R-STALE": (PassesStaleMotionOfClips, LabelsStaleMotionOfClipsAnew),
    "U-HANGUP": (LeavesSessionsOfClipsOpen,),
    "R-SLOWCLIENT": (KeepsAllWaitingForTheirClips,),
    "R-BADINPUT": (FallsOverRubbishBetweenClips,),
    "R-ISOLATION": (BroadcastsMotionOfClips,),
}
"""The relays that break each rule, and no other rule, though they choose themselves what is spoken."""
