"""`python -m spatius_sim.tests.mutants.javascript.judge`: judges the JavaScript client in this folder.

Stryker runs this as its test, with one mutant switched on by an environment variable, which the client
inherits. Ends with 1 if a rule names the mutant, or if the mutant is not passed; the last line says which.
The smoke profile comes first, for it is cheap; whoever passes it is judged at the profile of users.
"""

import subprocess
import sys

FAILED, PASSED = 1, 0


def main() -> int:
    """Return 0 if the client passes both profiles, otherwise 1, and print why."""
    for profile in ("smoke", "ci"):
        command = [sys.executable, "-m", "spatius_sim", "verify", "--client", "node reference_testee.js"]
        ended = subprocess.run(
            [*command, "--profile", profile],
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode == FAILED:
            claims = [line for line in ended.stdout.splitlines() if line.startswith("FAILED: ")]
            print(claims[-1] if claims else "FAILED")
            return 1
        if ended.returncode != PASSED:
            print(f"LEFT OPEN: exit code {ended.returncode}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
