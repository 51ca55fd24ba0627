#!/usr/bin/env bash
# Judges what conformance.yaml or the environment names, and leaves every report in one folder: the gate of any CI.
#
#     SPATIUS_SIM_TARGET       a relay's ws:// URL          SPATIUS_SIM_PROFILE    smoke, ci or nightly
#     SPATIUS_SIM_TARGET_CMD   the command that starts it   SPATIUS_SIM_LEVEL      must, should or may
#     SPATIUS_SIM_CONFORMANCE  the conformance file         SPATIUS_SIM_BASELINE   known failures
#     SPATIUS_SIM_REPORT       the folder of the reports (spatius-sim-report)
#     SPATIUS_SIM_ARGUMENTS    more arguments of `spatius-sim verify`, one in a line
#
# Ends with the exit code of `spatius-sim verify`. On GitHub it also writes the outputs, the job summary and the
# annotations of the step.
set -uo pipefail

report=${SPATIUS_SIM_REPORT:-spatius-sim-report}
arguments=("--report-dir=$report")
for name in target-cmd conformance profile level baseline; do
  variable=SPATIUS_SIM_$(tr 'a-z-' 'A-Z_' <<<"$name")
  [ -z "${!variable:-}" ] || arguments+=("--$name=${!variable}")
done
while IFS= read -r argument; do
  [ -z "$argument" ] || arguments+=("$argument")
done <<<"${SPATIUS_SIM_ARGUMENTS:-}"
[ -z "${SPATIUS_SIM_TARGET:-}" ] || arguments+=(-- "$SPATIUS_SIM_TARGET")

rm -f "$report/report.json" "$report/summary.md"
spatius-sim verify "${arguments[@]}"
code=$?

verdicts=(passed failed interrupted kit-failed usage not-exercised unreachable)
verdict=${verdicts[$code]:-kit-failed}
echo "spatius-sim: $verdict; the reports are in $report"
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  printf 'verdict=%s\nexit-code=%s\nreport=%s\n' "$verdict" "$code" "$report" >>"$GITHUB_OUTPUT"
fi
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$report/summary.md" ]; then
  cat "$report/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_ACTIONS:-}" ] && [ -f "$report/report.json" ]; then
  spatius-sim report annotations "$report/report.json"
fi
exit "$code"
