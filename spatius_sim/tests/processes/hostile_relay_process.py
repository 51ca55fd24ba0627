"""`hostile_relay_process.py PORT`: a relay that means harm by all that it says, and never marks the end of
the audio."""

import asyncio

from spatius_sim.model.relay.commands import RelayCommand, Tell
from spatius_sim.model.relay.relay import SAMPLE_RATE, PlainRelay, RelayTurn
from spatius_sim.tests.processes.miniature_relay_process import main
from spatius_sim.tests.reporting.hostile import ATTACKS, HUGE
from spatius_sim.wires.events import Failed, Interrupted, NotUnderstood, Ready, RelayEvent

ALL = "\n".join(attack.encode("utf-8", "replace").decode() for attack in ATTACKS)


class HostileRelay(PlainRelay):
    def greet(self, client: str) -> list[RelayCommand]:
        print(ALL, flush=True)
        return [Tell(client, Ready(ALL, SAMPLE_RATE, SAMPLE_RATE))]

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        said: list[RelayEvent] = [
            Failed(ALL),
            Failed(HUGE),
            Interrupted(ALL),
            NotUnderstood(ALL),
            NotUnderstood(HUGE),
        ]
        return [Tell(turn.client_id, one) for one in said]


if __name__ == "__main__":
    asyncio.run(main(HostileRelay))
