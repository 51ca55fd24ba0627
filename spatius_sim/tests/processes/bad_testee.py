"""A testee that goes wrong in one way, at its sixth request or between plans.

It has a child, which must not outlive it.
"""

import subprocess
import sys
import time
from pathlib import Path

from spatius_sim.subjects.client_shim import Shim
from spatius_sim.subjects.decoder_as_client import OWN


def misbehave(way: str) -> str:
    """What it says instead of an answer."""
    match way:
        case "hangs":
            time.sleep(600)
        case "crashes":
            raise RuntimeError("the client fell over")
        case "talks rubbish":
            return "Segmentation fault (core dumped)"
        case "answers out of turn":
            return '{"id":4,"result":{}}'
        case "never ends a line":
            sys.stdout.write("x" * 100)
            sys.stdout.flush()
            sys.exit(0)
    return ""


def main() -> None:
    way, pids = sys.argv[1], Path(sys.argv[2])
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with pids.open("a") as file:
        file.write(f"{child.pid}\n")
    shim = Shim(OWN)
    for number, line in enumerate(sys.stdin):
        if way == "dies between plans" and number > 5 and '"reset"' in line:
            sys.exit(7)
        answer = misbehave(way) if number == 5 and way != "dies between plans" else shim.answer(line)
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
