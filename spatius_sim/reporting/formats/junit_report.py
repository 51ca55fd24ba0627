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
    """Return the report as JUnit XML, with a suite for each subject. A suite is green only if the run
    passed: a required rule that nothing exercised is an error, because a skipped test would look like a
    pass. A run that is not a pass though no rule failed has an error, too."""
    document = JUnitXml("spatius-sim")
    for subject in report.subjects:
        passed = ExitCode.PASSED in (subject.exit_code, report.exit_code)
        suite = _write_suite(subject, report.rules_for(subject), passed=passed)
        _add_occasion(suite, report.occasion)
        document.add_testsuite(suite)
    if not report.subjects:
        suite = TestSuite("spatius-sim")
        suite.add_testcase(_write_no_pass("spatius-sim", _NOTHING_RAN))
        document.add_testsuite(suite)
    page = BytesIO()
    document.write(page, pretty=True)
    return page.getvalue().decode()


def _write_suite(subject: JudgedSubject, rules: tuple[JudgedRule, ...], *, passed: bool) -> TestSuite:
    """Return the JUnit suite of one subject. If all test cases were skipped and the run did not pass
    (`passed`), a test case with an error is added."""
    suite = TestSuite(f"spatius-sim.{subject.subject}")
    claims = {
        "target": subject.target,
        "wire": subject.wire,
        "level": subject.level,
        "profile": subject.profile,
        "kit version": subject.kit_version,
        "catalogue revision": str(subject.catalogue_revision),
        "seed": str(subject.seed),
        "claim": subject.claim,
    }
    for name, value in claims.items():
        suite.add_property(name, value)
    decided = any(judged.verdict is Verdict.PASSED or judged.known for judged in rules)
    results = {judged.id: _result_of(judged, decided=decided) for judged in rules}
    for judged in rules:
        case = TestCase(judged.id, suite.name, judged.seconds)
        case.system_out = f"{judged.sentence} ({judged.level}; {describe_sources(judged.source)})"
        case.result = results[judged.id]
        suite.add_testcase(case)
    all_skipped = all(
        isinstance(result, Skipped) for rule_results in results.values() for result in rule_results
    )
    if all_skipped and not passed:
        suite.add_testcase(_write_no_pass(str(suite.name), "; ".join([subject.claim, *subject.complaints])))
    return suite


def _add_occasion(suite: TestSuite, occasion: Occasion) -> None:
    """Add to a suite of the JUnit report when the run was made, by which command, and from which commit. What
    is unknown is left out."""
    if occasion.began:
        suite.timestamp = occasion.began.partition("+")[0]  # The schema knows no time zone; this is UTC.
    for name in ("command", "commit"):
        if value := getattr(occasion, name):
            suite.add_property(name, value)


def _result_of(judged: JudgedRule, *, decided: bool) -> list[FinalResult]:
    """Return what a JUnit test case shows for the verdict of one rule: an empty list for a pass, else one
    failure, error or skip. `decided`: whether any rule of the subject passed, or failed in a known way."""
    reason = f"{judged.verdict}: {judged.reason}"
    match judged.verdict:
        case Verdict.PASSED:
            return []
        case Verdict.FAILED:
            if judged.known:
                return [Skipped(f"{judged.verdict}, but known: {judged.known}", "KNOWN")]
            failure = judged.failure
            broken = JUnitFailure(failure.actual if failure else reason, str(judged.level))
            broken.text = _describe_failure(failure, judged.advice) if failure else reason
            return [broken]
        case Verdict.NOT_APPLICABLE:
            return [Skipped(reason, str(judged.verdict))]
        case Verdict.UNEXERCISED if not judged.required:
            return [Skipped(reason, str(judged.verdict))]
        case Verdict.INCONCLUSIVE if judged.failure is not None and judged.known:
            return [Skipped(f"{reason}, but known: {judged.known}", "KNOWN")]
        case Verdict.INCONCLUSIVE if decided and not judged.required and judged.failure is None:
            return [Skipped(reason, str(judged.verdict))]
    error = Error(reason, str(judged.verdict))
    error.text = _describe_failure(judged.failure, judged.advice) if judged.failure else "This is not a pass."
    return [error]


def _write_no_pass(suite: str, why: str) -> TestCase:
    """Return a JUnit test case with the error that the run is not a pass."""
    case = TestCase("run", suite, 0)
    case.result = [Error(why, "NO_PASS")]
    return case


def _describe_failure(failure: Failure, advice: Advice | None) -> str:
    """Return a failure as text for JUnit, one fact in a line; `advice` says what the broken rule means."""
    advice = advice or Advice("", "", "")
    lines = {
        "seen as": advice.effect,
        "Expected": failure.expected,
        "Actual": failure.actual,
        "likely": advice.cause,
        "mend it": advice.mend,
        "scenario": failure.scenario,
        "tape": failure.trace,
        "repeat": failure.repeat,
    }
    facts = [f"{name:9} {text}" for name, text in lines.items() if text]
    return "\n".join([*facts, *(f"event     {line}" for line in failure.evidence), failure.dialogue])
