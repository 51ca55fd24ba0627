"""The catalogue as data: what a reader and a baseline may rely on."""

import re
from dataclasses import replace

import pytest

from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import RULES, find_rule, map_rules_by_id, rules_for
from spatius_sim.rules.rule import Provenance

every_rule = pytest.mark.parametrize("rule_id", RULES)
LEVEL_WORD = re.compile(r"\b(MUST|SHOULD|MAY)\b")


@every_rule
def test_a_rule_says_what_its_breach_means_to_people(rule_id: str) -> None:
    advice = RULES[rule_id].advice
    assert advice is not None
    for words in (advice.effect, advice.cause, advice.mend):
        assert words and not words.endswith(".") and len(words) <= 140


@every_rule
def test_a_sentence_says_its_level_once(rule_id: str) -> None:
    assert LEVEL_WORD.findall(RULES[rule_id].sentence) == [RULES[rule_id].level]


@every_rule
def test_a_rule_stands_behind_those_that_it_presumes(rule_id: str) -> None:
    order = list(RULES)
    before = order[: order.index(rule_id)]
    assert set(RULES[rule_id].presumes) <= set(before)


@every_rule
def test_a_rule_presumes_rules_of_its_own_subject(rule_id: str) -> None:
    subjects = {RULES[presumed].subject for presumed in RULES[rule_id].presumes}
    assert subjects <= {RULES[rule_id].subject}


@every_rule
def test_a_rule_names_its_source(rule_id: str) -> None:
    assert RULES[rule_id].source
    assert isinstance(RULES[rule_id].provenance, Provenance)


@every_rule
def test_a_rule_is_found_under_its_own_id(rule_id: str) -> None:
    assert find_rule(rule_id).id == rule_id


def test_ids_have_the_form_of_an_id() -> None:
    assert [name for name in RULES if not re.fullmatch(r"[SURCE](-[A-Z]+)+", name)] == []


def test_no_check_judges_two_rules() -> None:
    assert len({judged.check for judged in RULES.values()}) == len(RULES)


def test_an_id_stands_once_and_after_those_that_it_presumes() -> None:
    first, *others = (replace(RULES["R-TURNS"], id=rule_id, presumes=()) for rule_id in ("R-A", "R-B"))
    behind = replace(first, id="R-C", presumes=("R-A",))
    assert list(map_rules_by_id([first, *others, behind])) == ["R-A", "R-B", "R-C"]
    with pytest.raises(ValueError, match="R-A stands twice"):
        map_rules_by_id([first, first])
    with pytest.raises(ValueError, match="R-C presumes R-A, which must stand before it"):
        map_rules_by_id([behind, first])


def test_an_unknown_id_is_a_usage_error_that_says_where_the_ids_are() -> None:
    with pytest.raises(UsageError, match=r"'R-NOTHING'.*spatius-sim rules"):
        find_rule("R-NOTHING")


def test_the_letter_of_an_id_says_what_is_judged() -> None:
    kinds = ("server", "relay", "client", "room")
    servers, relays, clients, rooms = map(rules_for, kinds)
    assert {one.id[0] for one in servers} == {"S"}
    assert {one.id[0] for one in relays if one.id != "E-LIMIT"} == {"U", "R"}
    assert {one.id[0] for one in rooms} == {"E"}
    assert {one.id[0] for one in clients} == {"C"}
    assert sum(map(len, (servers, relays, clients, rooms))) == len(RULES)
