"""`python -m spatius_sim.tests.fuzz [--minutes N] [HARNESS ...]`: throw bytes at each harness for N minutes.

With atheris installed, the bytes follow the coverage; without it, Hypothesis draws them from the inputs in
fixtures/hostile. An input that is a finding is written beside them, where a test replays it for ever.
"""

import argparse
import hashlib
import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from spatius_sim.tests.fuzz.corpus import HOSTILE, inputs_of, mutated

_LARGEST_INPUT = 4096
_SLOW_SECONDS = 5
_MAX_MEMORY_MIB = 1024


def throw_for(name: str, harness: Callable[[bytes], None], seconds: float) -> int:
    """Call a harness with drawn inputs for so many seconds, and return how many; a finding is kept and
    raised."""
    from hypothesis import HealthCheck, Phase, given, settings

    end, count = time.monotonic() + seconds, 0
    every_input = settings(
        max_examples=10_000,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @every_input
    @given(mutated(inputs_of(name)))
    def throw(data: bytes) -> None:
        nonlocal count
        if time.monotonic() >= end:
            return
        count += 1
        began = time.monotonic()
        try:
            harness(data)
        except BaseException:
            sys.stderr.write(f"{keep(name, data)}\n")
            raise
        assert time.monotonic() - began < _SLOW_SECONDS, f"slow: {keep(name, data)}"

    while time.monotonic() < end:
        throw()
    return count


def keep(name: str, data: bytes) -> Path:
    """Write an input that is a finding into the corpus, and return its path."""
    path = HOSTILE / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def follow_coverage(name: str, seconds: float) -> None:
    """Run one harness under atheris in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["spatius_sim"]):
        harness = importlib.import_module("spatius_sim.tests.fuzz.harnesses").HARNESSES[name]
    options = [f"-max_total_time={seconds:.0f}", f"-timeout={_SLOW_SECONDS}", f"-max_len={_LARGEST_INPUT}"]
    options += [f"-rss_limit_mb={_MAX_MEMORY_MIB}", f"-artifact_prefix={HOSTILE / name}/", "-verbosity=0"]
    options += ["-print_final_stats=1"]
    with TemporaryDirectory() as found:  # New inputs are written to the first folder that is named.
        atheris.Setup([sys.argv[0], *options, found, str(HOSTILE / name)], harness)
        atheris.Fuzz()


def main() -> int:
    """Throw at each harness that is named, or at all, and say how many inputs each had."""
    from spatius_sim.tests.fuzz.harnesses import HARNESSES

    parser = argparse.ArgumentParser(prog="python -m spatius_sim.tests.fuzz")
    parser.add_argument("harness", nargs="*", help="which; all by default")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each harness")
    parser.add_argument("--without-atheris", action="store_true", help="draw inputs, follow no coverage")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    unknown = set(asked.harness) - HARNESSES.keys()
    if unknown:
        parser.error(f"no such harness: {', '.join(sorted(unknown))}; there are {', '.join(HARNESSES)}")
    seconds = asked.minutes * 60
    if asked.alone:
        follow_coverage(asked.harness[0], seconds)
    guided = not asked.without_atheris and importlib.util.find_spec("atheris") is not None
    failed = []
    for name in asked.harness or HARNESSES:
        sys.stdout.write(f"{name}: {asked.minutes:g} min, {'coverage' if guided else 'drawn'}\n")
        sys.stdout.flush()
        if guided:
            command = [sys.executable, "-m", "spatius_sim.tests.fuzz", "--alone", name]
            ran = subprocess.run(
                [*command, f"--minutes={asked.minutes}"], capture_output=True, text=True, errors="replace"
            )
            told = [line for line in ran.stderr.splitlines() if "number_of_executed_units" in line]
            sys.stdout.write(f"{name}: {told[0] if told else ran.stderr[-4000:]}\n")
            if ran.returncode:
                failed.append(name)
                sys.stdout.write(ran.stderr[-4000:])
        else:
            sys.stdout.write(f"{name}: {throw_for(name, HARNESSES[name], seconds)} inputs\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
