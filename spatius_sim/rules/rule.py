"""What a rule is: its sentence, its source, its check, and what a trace must hold for the check."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from spatius_sim.rules.findings import Broken, Kept, Late, Unsure
from spatius_sim.story.client_story import ClientStory
from spatius_sim.story.room_story import RoomSession
from spatius_sim.story.turn_story import Story
from spatius_sim.wires.optional_features import DATA_PACKETS


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
    SAFETY = "SAFETY"
    """No document is needed: who breaks the rule harms others."""


class Half(StrEnum):
    """The half of a trace that a rule looks at."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"


class Speech(StrEnum):
    """What a rule needs of the speech, which many tapes do not hold."""

    COMPARED = "compared"
    """The rule compares the speech with what became of it."""
    TELLS_TURNS_APART = "tells turns apart"
    """The rule needs no speech if the trace holds only one turn."""
    NOT_COMPARED = "not compared"


Outcome = Kept | Broken | Late | Unsure
"""What a check says of one instance."""

Check = (
    Callable[[Story], Iterator[Outcome]]
    | Callable[[ClientStory], Iterator[Outcome]]
    | Callable[[list[RoomSession]], Iterator[Outcome]]
)
"""A function that judges one rule on one joined trace. It yields nothing if the rule's situation never came
up."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a broken rule means to people, as parts of sentences without a full stop.

    `effect`: what a user sees or hears. `cause`: what is likely wrong with the subject. `mend`: what to do.
    All of it is our experience (ASSUMED), and decides nothing."""

    effect: str
    cause: str
    mend: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, and the check that judges it.

    `presumes` names the rules that must not have failed for this rule to be judged. `needs` names features;
    the rule is NOT_APPLICABLE to a subject that lacks one of them. A client's features are the requests and
    the members of `observe`; `reset` and `yieldAudioData` are not named, because every client rule needs
    them. `only_lacking` names a feature, too: the rule is NOT_APPLICABLE to a subject that has it; "" if this
    does not matter. `unit` is the unit of the measurements, "" if the rule measures nothing. `waits` says why
    the rule cannot be exercised in a moment, "" if it can. `seen_in` and `speech` say what a tape must
    hold."""

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
    advice: Advice | None = None
    only_lacking: str = ""

    def explain_not_applicable(self, lacks: Collection[str]) -> str:
        """Return in words why this rule does not apply to a subject that lacks the features `lacks`; "" if it
        applies."""
        if reason := describe_lacking(feature for feature in self.needs if feature in lacks):
            return reason
        if self.only_lacking and self.only_lacking not in lacks:
            return f"it judges only a subject that lacks {self.only_lacking}"
        return ""

    @property
    def subject(self) -> str:
        """The kind of subject that the rule judges. The first letter of its id tells it: `server` for S
        rules, `client` for C, `room` for E, `relay` for U and R. E rules about a relay's data packets judge
        the `relay`, too."""
        if DATA_PACKETS in self.needs:
            return "relay"
        return {"S": "server", "C": "client", "E": "room"}.get(self.id[0], "relay")


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
    advice: Advice | None = None,
    only_lacking: str = "",
) -> Callable[[Check], Rule]:
    """Return a decorator that makes a Rule from a check: a function that yields an outcome for each instance
    of the rule that it finds."""

    def make_rule(check: Check) -> Rule:
        """Return a Rule with this check and all that the decorator was given."""
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
            advice=advice,
            only_lacking=only_lacking,
        )

    return make_rule


def describe_lacking(features: Iterable[str]) -> str:
    """Return in words that a subject lacks these features; "" if there are none."""
    feature_names = ", ".join(features)
    return feature_names and f"the subject lacks {feature_names}"


SHOWN = ("yieldFramesData", "advance", "observe", "observe.keyframesRendered")
"""The features that a client needs for rules on the motion that it shows."""

PLAYED = ("advance", "observe", "observe.state")
"""The features that a client needs for rules on the audio that it plays: the state tells when it begins and
ends. `observe.samplesPlayed` tells more, and is used if it is there."""

MODES = "modes"
"""The feature of a client that knows both audioIndependent and strictSync."""
