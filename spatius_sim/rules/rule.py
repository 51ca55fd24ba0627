"""What a rule is: its level, its provenance, whom it judges and what it needs."""

from dataclasses import dataclass
from enum import StrEnum

from spatius_sim.dialects.features import WIRE_FEATURES


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


class Verdict(StrEnum):
    """What a run says of a rule."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    UNEXERCISED = "UNEXERCISED"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERRORED = "ERRORED"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `presumes` names the rules without which it cannot be judged, `needs` the features of a
    subject without which it is NOT_APPLICABLE. `unit` is that of its measurements, where it measures."""

    id: str
    level: Level
    sentence: str
    source: str
    provenance: Provenance
    presumes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    unit: str = ""

    @property
    def subject(self) -> str:
        """Whom it judges: `server` for S rules, `client` for C rules, `relay` for U and R rules."""
        return {"S": "server", "C": "client"}.get(self.id[0], "relay")


KEYS = "keys"
"""A server that lacks keys accepts every API key."""

IDS = "ids"
"""A server that lacks ids of its own replays a recording, with the ids of the recording."""

EGRESS = "egress"
"""A server that lacks egress, or for which the kit has no room to name, refuses every egress."""

OWN_STREAM = "own-stream"
"""A relay that lacks an own stream for each client lets all of them hear the same."""

OWN_UPSTREAM = "own-upstream"
"""A relay that lacks upstream sessions of each client's own keeps a pool of them."""

UPSTREAM = "upstream"
"""A relay that lacks upstream talks to another Motion Server than ours: it is observed only."""

FEATURES = (
    KEYS,
    IDS,
    EGRESS,
    OWN_STREAM,
    OWN_UPSTREAM,
    UPSTREAM,
    *(feature.name for feature in WIRE_FEATURES),
)
"""What a subject may declare that it lacks."""
