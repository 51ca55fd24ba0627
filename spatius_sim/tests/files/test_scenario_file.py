"""Scenario files: what they say, and errors that name file, line and key."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.files.scenario_file import find_scenario, parse_scenario, read_scenario, shipped_scenarios
from spatius_sim.files.yaml_file import MAX_BYTES
from spatius_sim.model.scenario.scenario import (
    ACTION_BY_NAME,
    ALLOWED_ACTIONS,
    Delay,
    EmptyMotion,
    Fault,
    Moment,
    Refuse,
    SendError,
    When,
)
from spatius_sim.protocol.errors import UsageError

GOOD = """\
about: no
faults:
  - when: {at: audio, seconds: 2.5, probability: 0.5, avatar: a-1, app: "7", connection: 3}
    what:
      - error: {code: 4001, message: 12:30:45}
      - delay: 2
  - when: response
    what: [empty-motion, {delay: {seconds: 1, jitter: 0.5}}]
  - when: upgrade
    what: [refuse: 503]
"""

WRONG = {
    "": (1, "the file is empty"),
    "[": (1, "no YAML"),
    "a: \x00": (1, "no YAML"),
    "- 1": (1, "the scenario must be a mapping"),
    "about: x": (1, "faults is missing"),
    "about: x\nabout: y\nfaults: []": (2, "about stands here twice"),
    "about: x\nfaults: []\nmore: 1": (3, "'more' is unknown here"),
    "about: [x]\nfaults: []": (1, "about must be a text"),
    "about: x\nfaults: {}": (2, "faults must be a list"),
    "about: &a x\nfaults: *a": (2, "aliases are not taken"),
    "about: x\nfaults:\n- {when: audio}": (3, "what is missing"),
    "about: x\nfaults:\n- {what: [reset]}": (3, "when is missing"),
    "about: x\nfaults:\n- when: never\n  what: [reset]": (3, "at: 'never' is none of token"),
    "about: x\nfaults:\n- when: {seconds: 1}\n  what: [reset]": (3, "at is missing"),
    "about: x\nfaults:\n- when: audio\n  what: [reset]": (3, "needs seconds or messages"),
    "about: x\nfaults:\n- when: {at: audio, seconds: soon}\n  what: [reset]": (3, "seconds must be a number"),
    "about: x\nfaults:\n- when: {at: audio, seconds: 1e9}\n  what: [reset]": (3, "must lie between"),
    "about: x\nfaults:\n- when: {at: audio, messages: 1.5}\n  what: [reset]": (3, "messages must be a whole"),
    "about: x\nfaults:\n- when: upgrade\n  what: []": (4, "something that happens"),
    "about: x\nfaults:\n- when: upgrade\n  what: [explode]": (4, "'explode' is none of refuse"),
    "about: x\nfaults:\n- when: upgrade\n  what: [drop]": (4, "drop does not go with at: upgrade"),
    "about: x\nfaults:\n- when: upgrade\n  what: [refuse]": (4, "refuse: status is missing"),
    "about: x\nfaults:\n- when: upgrade\n  what: [refuse: 99]": (4, "status must lie between"),
    "about: x\nfaults:\n- when: upgrade\n  what: [{reset: {}, stall: {}}]": (4, "one thing in each step"),
    "about: x\nfaults:\n- when: upgrade\n  what: [reset: 7]": (4, "reset must be a mapping"),
    "about: x\nfaults:\n" + "- {when: upgrade, what: [reset]}\n" * 257: (1, "more than 256 faults"),
    "[" * 5000: (1, "nested more than 32 deep"),
}


def test_a_scenario_says_when_and_what() -> None:
    scenario = parse_scenario(GOOD.encode(), "a.yaml", "a")
    assert (scenario.name, scenario.about) == ("a", "no")
    audio, response, upgrade = scenario.faults
    when = When(Moment.AUDIO, seconds=2.5, probability=0.5, avatar="a-1", app="7", connection=3)
    assert audio == Fault(when, (SendError(4001, "12:30:45"), Delay(2.0)))
    assert response == Fault(When(Moment.RESPONSE), (EmptyMotion(), Delay(1.0, 0.5)))
    assert upgrade.what == (Refuse(503),)


@pytest.mark.parametrize("text", WRONG, ids=lambda text: repr(text[-40:]))
def test_an_error_names_file_line_and_key(text: str) -> None:
    line, told = WRONG[text]
    with pytest.raises(UsageError, match=r"a\.yaml") as error:
        parse_scenario(text.encode(), "a.yaml", "a")
    assert str(error.value).startswith(f"a.yaml:{line}: ")
    assert told in str(error.value)


def test_too_large_a_file_is_not_even_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"[" * (MAX_BYTES + 1))
    with pytest.raises(UsageError, match="larger than"):
        read_scenario(path)


def test_a_scenario_is_found_by_name_or_by_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    assert find_scenario(str(path)).name == "mine"
    assert find_scenario("credits-exhausted").faults
    for wanted in ("nobody", "../shipped/reset", str(tmp_path / "nobody.yaml")):
        with pytest.raises(UsageError):
            find_scenario(wanted)


def test_shipped_scenarios_have_one_line_each_and_leave_nothing_out() -> None:
    scenarios = shipped_scenarios()
    assert all(scenario.about and "\n" not in scenario.about and scenario.faults for scenario in scenarios)
    shown = {fault.when.at for scenario in scenarios for fault in scenario.faults}
    assert shown >= set(Moment) - {Moment.INTERRUPT}
    steps = {type(step) for scenario in scenarios for fault in scenario.faults for step in fault.what}
    assert {name for name, kind in ACTION_BY_NAME.items() if kind not in steps} == {"wrong-type"}
    assert set(ALLOWED_ACTIONS) == set(Moment)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_stands_in_a_file_is_a_scenario_or_a_usage_error(raw: bytes) -> None:
    with suppress(UsageError):
        parse_scenario(raw, "a.yaml", "a")
