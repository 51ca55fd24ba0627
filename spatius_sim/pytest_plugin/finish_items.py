"""Finishes a pytest item that judged a rule: lets it pass, fail or be skipped, and cleans its report."""

from typing import TYPE_CHECKING

import pytest

from spatius_sim.engine.judge_run import LONGEST_COMPLAINT
from spatius_sim.pytest_plugin.session_options import redact_secrets
from spatius_sim.reporting.make_text_harmless import harmless_lines
from spatius_sim.rules.findings import Verdict

if TYPE_CHECKING:
    from spatius_sim.engine.judge_run import RuleResult


def pass_fail_or_skip_item(result: "RuleResult") -> None:
    """Finish the pytest item that judged a rule: let it pass, fail, xfail or be skipped, as the result of the
    rule demands. To let it pass, return. Otherwise raise the exception by which pytest does the same."""
    outcome = result.outcomes[0]
    if result.complaints:
        pytest.fail("\n".join(result.complaints), pytrace=False)
    if result.tolerated:
        pytest.xfail(f"known: {', '.join(result.tolerated)}")
    if outcome.verdict is not Verdict.PASSED:
        pytest.skip(f"{outcome.verdict}: {outcome.reason}")


def clean_report_of_item(config: pytest.Config, report: pytest.TestReport) -> None:
    """Remove secrets and control characters from pytest's report of an item that has finished, because a
    traceback or a log in it may quote the subject. Complaints about a broken rule are cut to their own
    length, LONGEST_COMPLAINT."""
    if report.failed:
        is_complaint = isinstance(report.longrepr, str)
        text = redact_secrets(config, report.longreprtext)
        report.longrepr = harmless_lines(text, *([LONGEST_COMPLAINT] if is_complaint else []))
    sections = [(title, redact_secrets(config, text)) for title, text in report.sections]
    report.sections = [(title, harmless_lines(text)) for title, text in sections]
