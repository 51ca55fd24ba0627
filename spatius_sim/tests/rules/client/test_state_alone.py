"""A client that tells its state and its ids alone, as AvatarKit on a phone does: what the state shows of the
audio is judged, and blamed on the situation that did it."""

from typing import Any

import pytest

from spatius_sim.miniatures.client import wrong_clients
from spatius_sim.miniatures.client.honest_clients import HONEST_CLIENTS
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.client_shim import Factory
from spatius_sim.subjects.decoder_as_client import OwnClient
from spatius_sim.tests.rules.client.test_client_rules import verdicts

UNSEEN = ("observe.samplesPlayed", "observe.keyframesRendered")
JUDGED = {rule.id for rule in rules_for("client") if not set(rule.needs) & set(UNSEEN)}
CALLS = ("yield_audio_data", "yield_frames_data", "interrupt", "pause", "resume", "advance")


class StateAlone:
    """A client whose public API tells nothing of samples and keyframes."""

    modes = OwnClient.modes

    def __init__(self, client: OwnClient) -> None:
        self._client = client
        self.lacks = (*getattr(client, "lacks", ()), *UNSEEN)
        self.sample_rates = getattr(client, "sample_rates", ())
        for name in (*CALLS, "get_current_conversation_id"):
            setattr(self, name, getattr(client, name))

    @property
    def state(self) -> str:
        return self._client.state

    @property
    def stalled(self) -> Any:
        return self._client.stalled


def state_alone(brain: type[ClientDecoder]) -> Factory:
    return lambda rate, mode: StateAlone(OwnClient(rate, mode, brain))


def failed(said: set[tuple[str, Verdict]]) -> set[str]:
    return {name for name, verdict in said if verdict is Verdict.FAILED}


@pytest.mark.parametrize("rule_id", sorted(JUDGED))
def test_our_own_decoder_passes(rule_id: str) -> None:
    said = verdicts(rule_id, ClientDecoder, state_alone)
    assert (rule_id, Verdict.PASSED) in said
    assert failed(said) == set()
    assert {name for name, verdict in said if verdict is Verdict.NOT_APPLICABLE} == {
        rule.id for rule in rules_for("client") if rule.id not in JUDGED
    }


@pytest.mark.parametrize("brain", HONEST_CLIENTS)
def test_an_honest_client_is_accused_of_nothing(brain: type[ClientDecoder]) -> None:
    for rule_id in ("C-EMPTY", "C-STARVE"):
        assert failed(verdicts(rule_id, brain, state_alone)) == set()


@pytest.mark.parametrize(
    ("rule_id", "brain"),
    [
        ("C-ID", wrong_clients.NamesEveryChunk),
        ("C-ID-NEW", wrong_clients.ReusesIds),
        ("C-ID-CURRENT", wrong_clients.KeepsIdOverInterrupt),
        ("C-PAUSE", wrong_clients.RunsOnInPause),
        ("C-EMPTY", wrong_clients.StopsOnEmpty),
        ("C-ABNORMAL", wrong_clients.StopsOnUndecodable),
        ("C-NOEND", wrong_clients.GoesIdleWithoutEnd),
        ("C-STARVE", wrong_clients.StallsAlways),
        ("C-STARVE", wrong_clients.StallsInSilence),
        ("C-STATES", wrong_clients.StaysPlaying),
        ("C-STATES", wrong_clients.EndsEarly),
    ],
)
def test_a_wrong_client_is_caught_by_its_rule_alone(rule_id: str, brain: type[ClientDecoder]) -> None:
    assert failed(verdicts(rule_id, brain, state_alone)) == {rule_id}
