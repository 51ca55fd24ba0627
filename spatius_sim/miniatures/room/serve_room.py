"""Puts our Motion Server, in virtual time, into a room that is wrong in one way, or honest and different."""

from dataclasses import replace

from spatius_sim.files.scenario_file import shipped_scenario
from spatius_sim.miniatures.room.wrong_rooms import AnswersRefusals
from spatius_sim.model.scenario.scenario import NO_FAULTS, Fault, Moment, Scenario, When
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.subjects.room_subject import RoomSubject
from spatius_sim.subjects.virtual_rooms import REFUSING_ROOM, VIRTUAL_ROOM, make_virtual_room_subject
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_room import VirtualRoom

_REFUSED_CONNECTION = 2
"""The second session of a run names the room that refuses."""


def serve_room(loop: VirtualLoop, room: type[VirtualRoom], scenario: str = "", seed: int = 1) -> RoomSubject:
    """Return our Motion Server as a subject, with rooms of this kind; it plays the shipped scenario of this
    name, if any is named."""
    refusing: LiveKitEgress = getattr(room, "refusing", REFUSING_ROOM)
    playing = shipped_scenario(scenario) if scenario else NO_FAULTS
    if issubclass(room, AnswersRefusals):
        # A room that lets everybody in, unless the fault below answers first.
        refusing = replace(VIRTUAL_ROOM, room_name="another")
        if room.on_refusal:
            when = When(Moment.CONFIGURE, connection=_REFUSED_CONNECTION)
            playing = Scenario("refusal", "", (Fault(when, room.on_refusal),))
    egress: LiveKitEgress = getattr(room, "egress", VIRTUAL_ROOM)
    return make_virtual_room_subject(loop, "", seed, room, playing, (egress, refusing))
