"""The page for phones names the rules that a client exercises which tells little of itself."""

import re

from spatius_sim.rules.catalogue import RULES, rules_for
from spatius_sim.tests.test_docs import ROOT

PAGE = ROOT / "conformance" / "docs" / "phones.md"
TOLD = ("observe.state", "observe.conversationId", "observe.samplesPlayed", "observe.keyframesRendered")


def test_the_page_names_the_rules_that_need_no_more_than_is_told() -> None:
    rows = re.findall(r"^\| (?:`state`|also `(\w+)`).*?\| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    told, named = {*TOLD[:2], "observe.stalled"}, set[str]()
    for member, rules in rows[-3:]:
        told |= {f"observe.{member}"} if member else set()
        named |= set(re.findall(r"C-[A-Z-]+", rules))
        possible = {
            rule.id
            for rule in RULES.values()
            if rule.subject == "client"
            and {need for need in rule.needs if need.startswith("observe.")} <= told
        }
        assert named == possible or (rules == "all 18" and len(possible) == 18)
        assert rules == "all 18" or f"{len(possible)} of 18" in rules


def test_the_page_says_of_all_other_rules_what_cannot_be_seen() -> None:
    judged, unseen = re.split("are NOT_APPLICABLE", PAGE.read_text())
    named = set(re.findall(r"C-[A-Z-]+", " ".join(re.findall(r"^\| (C-.*?) \|", unseen, re.MULTILINE))))
    assert named | set(re.findall(r"C-[A-Z-]+", judged)) == {rule.id for rule in rules_for("client")}
    assert named == {rule.id for rule in rules_for("client") if "observe.keyframesRendered" in rule.needs}
