"""Each format says what the report says, in the shape that its readers expect."""

import html
import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.engine.option_table import REPORT_FORMATS
from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.files.find_resources import resource
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.claim_of_summary import describe_claim
from spatius_sim.reporting.formats.badge import badge_json
from spatius_sim.reporting.formats.html_report import LARGEST_EMBEDDED_TAPE, html_report
from spatius_sim.reporting.formats.json_report import json_report, read_report, report_schema
from spatius_sim.reporting.formats.junit_report import junit_report
from spatius_sim.reporting.formats.markdown_report import markdown_report
from spatius_sim.reporting.formats.progress import estimate_seconds_left
from spatius_sim.reporting.formats.write_report_files import (
    WRITERS,
    choose_report_paths,
    prepare_report_files,
)
from spatius_sim.reporting.report import Occasion, Report, report_of
from spatius_sim.reporting.summary import ExitCode, Failure, RuleOutcome, StoppedEarly, Summary, exit_code
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.reporting.hostile import report_saying

JUNIT = Path(__file__).with_name("data") / "junit-10.xsd"
"""What Jenkins takes (github.com/jenkinsci/xunit-plugin), as pytest has it in its own tests."""
TAPES = resource("fixtures") / "tapes"
FAILED = "R-MOTION-ORDER"
BREAKS_OFF = {1, 2, 3, 4, 5}
RULE_IDS = ("U-TOKEN", "U-CONFIGURE", "U-AUDIO-END", "R-MOTION-ORDER", "R-SECRETS")


@pytest.fixture(scope="module")
def failed() -> Report:
    summaries = check_tape(TAPES / f"fails-{FAILED}.tape")
    return report_of(summaries, exit_code(summaries))


def one_rule(verdict: Verdict, required: bool = True, **more: Any) -> Report:
    outcome = RuleOutcome("U-TOKEN", verdict, reason="so it is")
    rules = frozenset({"U-TOKEN"}) if required else frozenset()
    summary = Summary("relay", "ws://x", 1, "0", 2, (outcome,), required=rules, **more)
    return report_of([summary], exit_code([summary]))


def schema() -> Any:
    return json.loads(files("spatius_sim.reporting").joinpath("report.schema.json").read_text("utf-8"))


@cache
def _junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(JUNIT))


def results(report: Report) -> dict[str, list[str]]:
    """Each JUnit test case with its results."""
    text = junit_report(report)
    _junit_schema().validate(text)
    cases = ElementTree.fromstring(text).iter("testcase")
    found = {str(case.get("name")): [result.tag for result in case] for case in cases}
    return {name: [tag for tag in tags if tag != "system-out"] for name, tags in found.items()}


def test_the_schema_is_that_of_this_version() -> None:
    assert schema() == json.loads(report_schema()), "python reports/make_sample.py makes it again"


@pytest.mark.parametrize("tape", sorted(TAPES.glob("*.tape")), ids=lambda path: path.stem)
def test_real_reports_keep_to_the_schema(tape: Path) -> None:
    summaries = check_tape(tape)
    report = json.loads(json_report(report_of(summaries, exit_code(summaries))))
    jsonschema.Draft202012Validator(schema()).validate(report)


def test_a_report_of_another_shape_does_not(failed: Report) -> None:
    plain = json.loads(json_report(failed))
    for changed in ({**plain, "version": 2}, {**plain, "rules": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema()).validate(changed)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("nonsense", "is not a report"),
        ("[]", "is not a report"),
        ("{}", "is not a report"),
        ('{"format": "spatius-sim report", "version": 2}', "of version 2"),
        ('{"format": "spatius-sim report", "version": 1}', "damaged"),
        ("[" * 100_000, "is not a report"),
    ],
)
def test_what_is_no_report_is_refused_by_name(written: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(written)
    with pytest.raises(UsageError, match=told) as error:
        read_report(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.json cannot be read"):
        read_report(tmp_path / "a.json")


def test_a_report_that_cannot_be_written_is_told_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="--report-junit"):
        prepare_report_files({"junit": Path("/dev/null/junit.xml")})


def test_what_an_earlier_run_left_is_gone_before_anything_runs(tmp_path: Path) -> None:
    paths = choose_report_paths({}, str(tmp_path / "new"))
    prepare_report_files(paths)
    for path in paths.values():
        path.write_text("PASSED")
    prepare_report_files(paths)
    assert list((tmp_path / "new").iterdir()) == []


def test_junit_has_a_case_for_each_rule_and_keeps_to_its_schema(failed: Report) -> None:
    found = results(failed)
    assert list(found) == [rule.id for rule in failed.rules]
    assert found[FAILED] == ["failure"]
    assert found["U-TOKEN"] == []


@pytest.mark.parametrize(
    ("report", "result"),
    [
        (one_rule(Verdict.PASSED), []),
        (one_rule(Verdict.FAILED), ["failure"]),
        (one_rule(Verdict.FAILED, known={"U-TOKEN": "issue 7"}), ["skipped"]),
        (one_rule(Verdict.NOT_APPLICABLE), ["skipped"]),
        (one_rule(Verdict.UNEXERCISED, required=False), ["skipped"]),
        (one_rule(Verdict.UNEXERCISED), ["error"]),
        (one_rule(Verdict.INCONCLUSIVE), ["error"]),
        (one_rule(Verdict.ERRORED), ["error"]),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else value.rules[0].verdict,
)
def test_junit_is_green_for_nothing_that_is_no_pass(report: Report, result: list[str]) -> None:
    assert results(report)["U-TOKEN"] == result


@settings(deadline=None)  # The first example reads the schema.
@given(
    st.lists(st.sampled_from(Verdict), max_size=5),
    st.sets(st.sampled_from(RULE_IDS)),
    st.sets(st.sampled_from(RULE_IDS)),
    st.booleans(),
    st.booleans(),
    st.none() | st.sampled_from([StoppedEarly(code, "why") for code in ExitCode if code in BREAKS_OFF]),
)
def test_junit_is_green_where_the_run_passed_and_nowhere_else(
    verdicts: list[Verdict],
    required: set[str],
    known: set[str],
    complains: bool,
    seen_once: bool,
    stopped_early: StoppedEarly | None,
) -> None:
    once = Failure("a", "b", "c", "", confirmed=False) if seen_once else None
    outcomes = tuple(
        RuleOutcome(
            rule_id,
            verdict,
            blocked_by=("U-TOKEN",),
            failure=once if verdict is Verdict.INCONCLUSIVE else None,
        )
        for rule_id, verdict in zip(RULE_IDS, verdicts, strict=False)
    )
    summary = Summary(
        "relay",
        "",
        1,
        "0",
        2,
        outcomes,
        required=frozenset(required),
        known=dict.fromkeys(known, "issue 7"),
        complaints=("stale",) * complains,
        stopped_early=stopped_early,
    )
    code = exit_code([summary])
    found = results(report_of([summary], code))
    green = not any({"failure", "error"} & set(tags) for tags in found.values())
    assert green == (code is ExitCode.PASSED) == describe_claim(summary).startswith("PASSED")


def test_junit_of_nothing_is_an_error() -> None:
    assert results(report_of([], ExitCode.NOT_EXERCISED)) == {"run": ["error"]}


def test_markdown_begins_with_the_verdict_and_says_how_to_repeat_it(failed: Report) -> None:
    text = markdown_report(failed)
    assert text.startswith("## ❌ spatius-sim: Failed")
    assert f"### {FAILED} (MUST)" in text
    assert "Expected" in text and "Actual" in text


def test_markdown_is_cut_to_size_and_says_so() -> None:
    report = report_saying("x" * 500)
    many = replace(report, rules=report.rules * 300)
    text = markdown_report(many)
    assert len(text.encode()) <= 65_536
    assert text.rstrip().endswith("more lines are in the whole report.")
    assert text.startswith("## ❌")


@pytest.mark.parametrize(
    ("report", "message", "color"),
    [
        (one_rule(Verdict.PASSED), "1 of 1 rules", "brightgreen"),
        (one_rule(Verdict.FAILED), "failed, 0 of 1 rules", "red"),
        (one_rule(Verdict.UNEXERCISED), "not exercised, 0 of 1 rules", "yellow"),
        (one_rule(Verdict.INCONCLUSIVE), "inconclusive, 0 of 1 rules", "yellow"),
    ],
)
def test_a_badge_claims_no_more_than_the_report(report: Report, message: str, color: str) -> None:
    plain = json.loads(badge_json(report))
    assert plain == {"schemaVersion": 1, "label": "spatius conformance", "message": message, "color": color}


def test_every_format_has_an_option_and_a_name_in_the_folder() -> None:
    assert set(WRITERS) == set(REPORT_FORMATS)
    assert choose_report_paths({"json": "a.json"}, "folder") | {} == {
        "html": Path("folder/report.html"),
        "json": Path("a.json"),
        "junit": Path("folder/junit.xml"),
        "markdown": Path("folder/summary.md"),
        "badge": Path("folder/badge.json"),
    }


def with_tape(report: Report, path: str) -> Report:
    judged = next(rule for rule in report.rules if rule.failure is not None)
    assert judged.failure is not None
    return replace(report, rules=(replace(judged, failure=replace(judged.failure, trace=path)),))


def test_a_small_tape_travels_in_the_page_and_a_large_one_beside_it(failed: Report, tmp_path: Path) -> None:
    small, large = tmp_path / "a b.tape", tmp_path / "tapes" / "large#1.tape"
    large.parent.mkdir()
    small.write_bytes(b"tape")
    large.write_bytes(bytes(LARGEST_EMBEDDED_TAPE + 1))
    page = html_report(with_tape(failed, str(small)), tmp_path)
    assert 'href="data:application/octet-stream;base64,dGFwZQ==" download="a b.tape"' in page
    assert 'href="tapes/large%231.tape"' in html_report(with_tape(failed, str(large)), tmp_path)


def test_the_tapes_of_a_folder_that_was_moved_are_found(failed: Report, tmp_path: Path) -> None:
    (tmp_path / "a.tape").write_bytes(b"tape")
    assert "base64,dGFwZQ==" in html_report(with_tape(failed, "where/it/was/made/a.tape"), tmp_path)


def test_a_report_from_elsewhere_brings_no_file_of_ours_along(failed: Report, tmp_path: Path) -> None:
    page, elsewhere = tmp_path / "page", tmp_path / "elsewhere"
    page.mkdir()
    elsewhere.mkdir()
    secret = elsewhere / "secret.tape"
    secret.write_bytes(b"secret")
    (page / "key.pem").write_bytes(b"secret")
    (page / "link.tape").symlink_to(secret)
    for named in (secret, page / "../elsewhere/secret.tape", page / "key.pem", page / "link.tape"):
        text = html_report(with_tape(failed, str(named)), page)
        assert "c2VjcmV0" not in text
        assert "download=" not in text


OCCASION = Occasion(
    began="2026-11-28T17:00:00+00:00", seconds=61.4, command="spatius-sim verify ws://r", commit="c0ffee"
)


@pytest.mark.parametrize("format_name", ["html", "json", "junit", "markdown"])
def test_a_report_says_when_where_and_how(format_name: str, failed: Report) -> None:
    text = WRITERS[format_name][1](replace(failed, occasion=OCCASION), Path())
    for said in ("2026-11-28T17:00:00", "c0ffee", "spatius-sim verify ws"):
        assert said in html.unescape(text), format_name


def test_junit_says_how_long_each_rule_took(failed: Report) -> None:
    timed = replace(failed, rules=tuple(replace(judged, seconds=2.5) for judged in failed.rules))
    cases = ElementTree.fromstring(junit_report(timed)).iter("testcase")
    assert {float(case.attrib["time"]) for case in cases} == {2.5}


def test_a_badge_names_the_profile_and_is_green_only_if_all_was_exercised() -> None:
    outcomes = (RuleOutcome("R-TURNS", Verdict.PASSED), RuleOutcome("R-SECRETS", Verdict.UNEXERCISED))
    required = frozenset({"R-TURNS"})
    summary = Summary("relay", "r", 1, "0", 1, outcomes, profile="smoke", required=required)
    report = report_of([summary], exit_code([summary]))
    said = json.loads(badge_json(report))
    assert (said["message"], said["color"]) == ("1 of 2 rules, smoke", "yellow")


@pytest.mark.parametrize(
    ("done", "seconds", "elapsed", "left"),
    [
        (9, 9.0, 9.0, 0.0),  # Too little is done.
        (10, 10.0, 10.0, 90.0),
        (10, 10.0, 40.0, 60.0),  # A long rule brings the end nearer, too.
        (50, 10.0, 30.0, 1.0),  # It takes longer than was thought.
        (100, 90.0, 95.0, 0.0),
        (0, 0.0, 3.0, 0.0),
    ],
)
def test_the_estimate_counts_scenarios_and_falls_while_a_rule_takes_long(
    done: int, seconds: float, elapsed: float, left: float
) -> None:
    assert estimate_seconds_left(done, 100, seconds, elapsed) == pytest.approx(left)


def test_no_estimate_is_made_if_nobody_says_how_much_there_is_to_do() -> None:
    assert estimate_seconds_left(0, 0, 5.0, 5.0) == 0.0
