"""`spatius-sim serve` in a process of its own, as its users run it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SECONDS = 60


@dataclass(slots=True)
class ServedMotionServer:
    """Where the server is; after the block, all that it printed."""

    console_endpoint: str
    ingress_endpoint: str
    control_endpoint: str
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[ServedMotionServer]:
    """Run `spatius-sim serve` on a free port while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spatius_sim", "serve", "--port=0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, process.communicate(timeout=_SECONDS)
        ready = json.loads(first)
        variables = ready["environment"]
        server = ServedMotionServer(
            variables["SPATIUS_CONSOLE_ENDPOINT"],
            variables["SPATIUS_INGRESS_ENDPOINT"],
            ready["control"],
            [first],
        )
        yield server
    finally:
        process.terminate()
        output, errors = process.communicate(timeout=_SECONDS)
    server.output += output.splitlines()
    server.errors += errors.splitlines()
