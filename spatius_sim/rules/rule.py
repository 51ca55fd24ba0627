"""What a rule is: one value with its sentence, its source, its check, and what it needs to be judged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.story.client_story import ClientStory
from spatius_sim.story.join import Story


class Level(StrEnum):
    """How binding a rule is."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Provenance(StrEnum):
    """Where a rule comes from."""

    DOCUMENTED = "DOCUMENTED"
    OBSERVED = "OBSERVED"
    ASSUMED = "ASSUMED"


class Half(StrEnum):
    """The half of a trace that a rule looks at."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"


class Speech(StrEnum):
    """What a rule needs to know of the speech, which many tapes do not hold."""

    COMPARED = "compared"
    """It compares the speech with what became of it."""
    TELLS_TURNS_APART = "tells turns apart"
    """It needs no speech if the trace holds one turn alone."""
    NOT_COMPARED = "not compared"


Outcome = Kept | Broken | Late
"""What a check says of one instance."""

Check = Callable[[Story], Iterator[Outcome]] | Callable[[ClientStory], Iterator[Outcome]]
"""Judges one rule on one joined trace. A check that yields nothing never saw its situation."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, and the check that judges it.

    `presumes` names the rules without which it cannot be judged, `needs` the features of a subject without
    which it is NOT_APPLICABLE: for a client, the requests and the members of `observe` beside `reset` and
    `yieldAudioData`, which every rule needs. `unit` is that of its measurements, if it measures. `waits` says
    why it cannot be exercised in a moment, "" if it can. `seen_in` and `speech` say what a tape must hold.
    """

    id: str
    level: Level
    sentence: str
    source: str
    provenance: Provenance
    check: Callable[[Any], Iterator[Outcome]]
    presumes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    unit: str = ""
    waits: str = ""
    seen_in: Half = Half.BOTH
    speech: Speech = Speech.COMPARED

    @property
    def subject(self) -> str:
        """Whom it judges: `server` for S rules, `client` for C rules, `relay` for U and R rules."""
        return {"S": "server", "C": "client"}.get(self.id[0], "relay")


def rule(
    rule_id: str,
    level: Level,
    sentence: str,
    source: str,
    provenance: Provenance,
    *,
    presumes: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
    unit: str = "",
    waits: str = "",
    seen_in: Half = Half.BOTH,
    speech: Speech = Speech.COMPARED,
) -> Callable[[Check], Rule]:
    """Make a rule of the check below, which yields an outcome for each instance that it sees in a story."""

    def rule_with(check: Check) -> Rule:
        return Rule(
            rule_id,
            level,
            sentence,
            source,
            provenance,
            check,
            presumes=presumes,
            needs=needs,
            unit=unit,
            waits=waits,
            seen_in=seen_in,
            speech=speech,
        )

    return rule_with


SHOWN = ("yieldFramesData", "advance", "observe", "observe.keyframesRendered")
"""What a client needs that shows motion."""

PLAYED = ("advance", "observe", "observe.samplesPlayed", "observe.state")
"""What a client needs that plays audio."""

MODES = "modes"
"""What a client needs that knows audioIndependent and strictSync."""
