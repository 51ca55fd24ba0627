"""Writes the report as JUnit XML, with one test case for each rule. The name of a test case is the id of its
rule, so that the name is the same wherever the suite lies."""

from io import BytesIO

from junitparser import Error, JUnitXml, Skipped, TestCase, TestSuite
from junitparser import Failure as JUnitFailure
from junitparser.junitparser import FinalResult

from spatius_sim.reporting.report import JudgedRule, JudgedSubject, Occasion, Report
from spatius_sim.reporting.summary import ExitCode, Failure
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Advice
from spatius_sim.rules.rule_sources import describe_sources

_NOTHING_RAN = "nothing ran; this is not a pass"


def junit_report(report: Report) -> str:
    """Return the report as JUnit XML, with a suite for each subject. A suite is green only if the run passed.
    Therefore a required rule that nothing exercised is an error: a skipped test would look like a pass. If no
    rule failed and the run is still not a pass, there is also an error."""
    document = JUnitXml("spatius-sim")
    for subject in report.subjects:
        is_pass = ExitCode.PASSED in (subject.exit_code, report.exit_code)
        suite = _make_suite(subject, report.rules_for(subject), is_pass=is_pass)
        _add_occasion(suite, report.occasion)
        document.add_testsuite(suite)
    if not report.subjects:
        suite = TestSuite("spatius-sim")
        suite.add_testcase(_make_no_pass_case("spatius-sim", _NOTHING_RAN))
        document.add_testsuite(suite)
    xml_buffer = BytesIO()
    document.write(xml_buffer, pretty=True)
    return xml_buffer.getvalue().decode()


def _make_suite(subject: JudgedSubject, rules: tuple[JudgedRule, ...], *, is_pass: bool) -> TestSuite:
    """Return the JUnit suite of one subject, with a test case for each rule. `is_pass`: whether the run
    passed. If it did not pass, and every test case is a pass or skipped, a test case with an error is
    added."""
    suite = TestSuite(f"spatius-sim.{subject.subject}")
    properties = {
        "target": subject.target,
        "wire": subject.wire,
        "level": subject.level,
        "profile": subject.profile,
        "kit version": subject.kit_version,
        "catalogue revision": str(subject.catalogue_revision),
        "seed": str(subject.seed),
        "claim": subject.claim,
    }
    for name, value in properties.items():
        suite.add_property(name, value)
    any_decided = any(rule.verdict is Verdict.PASSED or rule.known for rule in rules)
    results_by_rule_id = {rule.id: _make_junit_results(rule, any_decided=any_decided) for rule in rules}
    for rule in rules:
        case = TestCase(rule.id, suite.name, rule.seconds)
        case.system_out = f"{rule.sentence} ({rule.level}; {describe_sources(rule.source)})"
        case.result = results_by_rule_id[rule.id]
        suite.add_testcase(case)
    all_skipped = all(
        isinstance(result, Skipped) for rule_results in results_by_rule_id.values() for result in rule_results
    )
    if all_skipped and not is_pass:
        suite.add_testcase(
            _make_no_pass_case(str(suite.name), "; ".join([subject.claim, *subject.complaints]))
        )
    return suite


def _add_occasion(suite: TestSuite, occasion: Occasion) -> None:
    """Add to a suite of the JUnit report the occasion of the run: when it was made, by which command, and
    from which commit. Leave out what is not known."""
    if occasion.began:
        suite.timestamp = occasion.began.partition("+")[0]  # The schema knows no time zone; this is UTC.
    for name in ("command", "commit"):
        if value := getattr(occasion, name):
            suite.add_property(name, value)


def _make_junit_results(rule: JudgedRule, *, any_decided: bool) -> list[FinalResult]:
    """Return what a JUnit test case shows for the verdict of one rule: an empty list for a pass, else one
    failure, error or skip. `any_decided`: whether any rule of the subject passed, or failed in a known way.
    If none did, a rule without a verdict is an error."""
    reason = f"{rule.verdict}: {rule.reason}"
    match rule.verdict:
        case Verdict.PASSED:
            return []
        case Verdict.FAILED:
            if rule.known:
                return [Skipped(f"{rule.verdict}, but known: {rule.known}", "KNOWN")]
            failure = rule.failure
            junit_failure = JUnitFailure(failure.actual if failure else reason, str(rule.level))
            junit_failure.text = _describe_failure(failure, rule.advice) if failure else reason
            return [junit_failure]
        case Verdict.NOT_APPLICABLE:
            return [Skipped(reason, str(rule.verdict))]
        case Verdict.UNEXERCISED if not rule.required:
            return [Skipped(reason, str(rule.verdict))]
        case Verdict.INCONCLUSIVE if rule.failure is not None and rule.known:
            return [Skipped(f"{reason}, but known: {rule.known}", "KNOWN")]
        case Verdict.INCONCLUSIVE if any_decided and not rule.required and rule.failure is None:
            return [Skipped(reason, str(rule.verdict))]
    error = Error(reason, str(rule.verdict))
    error.text = _describe_failure(rule.failure, rule.advice) if rule.failure else "This is not a pass."
    return [error]


def _make_no_pass_case(suite: str, why: str) -> TestCase:
    """Return a JUnit test case with the error that the run is not a pass."""
    case = TestCase("run", suite, 0)
    case.result = [Error(why, "NO_PASS")]
    return case


def _describe_failure(failure: Failure, advice: Advice | None) -> str:
    """Return the text that JUnit shows for a failure, with one fact in each line. `advice` says what a user
    notices of the broken rule, its likely cause, and how to repair it; None if there is none."""
    advice = advice or Advice("", "", "")
    text_by_label = {
        "seen as": advice.effect,
        "Expected": failure.expected,
        "Actual": failure.actual,
        "likely": advice.cause,
        "mend it": advice.mend,
        "scenario": failure.scenario,
        "tape": failure.trace,
        "repeat": failure.repeat,
    }
    facts = [f"{label:9} {text}" for label, text in text_by_label.items() if text]
    return "\n".join([*facts, *(f"event     {event}" for event in failure.evidence), failure.dialogue])
