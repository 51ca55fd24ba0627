"""What a hostile subject says, wherever it may say something."""

from pathlib import Path

from hypothesis import strategies as st

from spatius_sim.reporting.report import Report, report_of
from spatius_sim.reporting.summary import Failure, LongerFailure, RuleOutcome, Summary, exit_code
from spatius_sim.reporting.timeline.timeline import Mark, MarkKind, Timeline
from spatius_sim.rules.findings import Verdict

ATTACKS = (
    "</script><img src=x onerror=alert(1)>",
    "</style><script>alert(1)</script>",
    "\"' onmouseover='alert(1)",
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "fine\n::error file=a,line=1::owned\r\n::add-mask::x",
    "##vso[task.complete result=Succeeded] ##[error]owned",
    "]]><testcase name='owned'/><!--",
    "| owned |\n\n# owned\n[a](javascript:alert(1)) ![b](http://evil.invalid/x.png) `c` @everyone",
    "{{ 7 * 7 }} {% raw %} ${x} %0A%0D",
    "\u202egnp.exe \ufeff\ufffe\ud800 \u2028",
)
HUGE = "</script>\x1b[2J::error::" * 400_000
"""Ten megabytes."""

texts = st.text() | st.sampled_from(ATTACKS) | st.lists(st.sampled_from(ATTACKS) | st.text()).map("".join)
"""Any text, and often one that means harm."""


def report_saying(text: str, folder: Path | str = "") -> Report:
    """A report in which a subject says this everywhere."""
    mark = Mark(0.5, 1, text, text, MarkKind.MOTION, text, guilty=True)
    points = Mark(0.7, 2, text, "", MarkKind.FAULT, text)
    timeline = Timeline((text, "relay"), (mark, points), clock=text)
    tape = f"{folder}{text}.tape"
    failure = Failure(
        text,
        text,
        text,
        tape,
        True,
        f"{text}\n{text}",
        (text,),
        timeline,
        text,
        player="AAAA",
        longer=LongerFailure(text, text),
    )
    outcomes = (
        RuleOutcome("R-MOTION-ORDER", Verdict.FAILED, 1, 1, text, failure),
        RuleOutcome("R-MOTION-COMPLETE", Verdict.PASSED, 1, 1, text, measurements=(1.0, 2.0), unit=text),
        RuleOutcome("U-TOKEN", Verdict.UNEXERCISED, reason=text),
        RuleOutcome("U-CONFIGURE", Verdict.INCONCLUSIVE, reason=text),
        RuleOutcome("U-AUDIO-END", Verdict.ERRORED, reason=text),
        RuleOutcome("R-SECRETS", Verdict.NOT_APPLICABLE, reason=text),
    )
    summary = Summary(
        "relay",
        text,
        1,
        text,
        2,
        outcomes,
        text,
        text,
        wire=text,
        known={"U-TOKEN": text},
        complaints=(text,),
    )
    return report_of([summary], exit_code([summary]))
