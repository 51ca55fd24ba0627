"""The report as JUnit XML: one test case for each rule, named by its id, so that it stays the same wherever
the suite lies."""

from io import BytesIO

from junitparser import Error, JUnitXml, Skipped, TestCase, TestSuite
from junitparser import Failure as JUnitFailure
from junitparser.junitparser import FinalResult

from spatius_sim.reporting.report import JudgedRule, JudgedSubject, Report
from spatius_sim.reporting.summary import Failure
from spatius_sim.rules.catalogue import Verdict

_NOTHING_RAN = "nothing ran; this is no pass"


def junit_report(report: Report) -> str:
    """A suite for each subject. A required rule that nothing exercised is an error, for a skipped test would
    look like a pass; so is a run in which nothing ran."""
    document = JUnitXml("spatius-sim")
    for subject in report.subjects:
        document.add_testsuite(_suite(subject, report.of(subject)))
    if not report.rules:
        document.add_testsuite(_nothing_ran())
    page = BytesIO()
    document.write(page, pretty=True)
    return page.getvalue().decode()


def _suite(subject: JudgedSubject, rules: tuple[JudgedRule, ...]) -> TestSuite:
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
    for judged in rules:
        suite.add_testcase(_case(judged))
    return suite


def _case(judged: JudgedRule) -> TestCase:
    case = TestCase(judged.id, f"spatius-sim.{judged.subject}", 0)
    case.system_out = f"{judged.sentence} ({judged.level}; {judged.source})"
    case.result = _results(judged)
    return case


def _results(judged: JudgedRule) -> list[FinalResult]:
    reason = f"{judged.verdict}: {judged.reason}"
    match judged.verdict:
        case Verdict.PASSED:
            return []
        case Verdict.FAILED:
            if judged.known:
                return [Skipped(f"{judged.verdict}, but known: {judged.known}", "KNOWN")]
            found = judged.failure
            broken = JUnitFailure(found.actual if found else reason, str(judged.level))
            broken.text = _told(found) if found else reason
            return [broken]
        case Verdict.NOT_APPLICABLE:
            return [Skipped(reason, str(judged.verdict))]
        case Verdict.UNEXERCISED if not judged.required:
            return [Skipped(reason, str(judged.verdict))]
    open_still = Error(reason, str(judged.verdict))
    open_still.text = "This is no pass."
    return [open_still]


def _told(failure: Failure) -> str:
    lines = {
        "Expected": failure.expected,
        "Actual": failure.actual,
        "scenario": failure.scenario,
        "tape": failure.trace,
        "repeat": failure.repeat,
    }
    told = [f"{name:9} {text}" for name, text in lines.items() if text]
    return "\n".join([*told, *(f"event     {line}" for line in failure.evidence), failure.dialogue])


def _nothing_ran() -> TestSuite:
    suite = TestSuite("spatius-sim")
    case = TestCase("run", "spatius-sim", 0)
    case.result = [Error(_NOTHING_RAN, "NOT_EXERCISED")]
    suite.add_testcase(case)
    return suite
