"""`spatius-sim bench` runs to its end and prints every figure; how large they are is not a test's
business."""

import json
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

TIMEOUT = 300


def test_every_figure_is_printed_once() -> None:
    command = [sys.executable, "-m", "spatius_sim", "bench", "--quick", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    names = [figure["name"] for figure in figures]
    assert len(set(names)) == len(names)
    promised = [figure["name"] for figure in figures if figure["mark"]]
    assert promised == [
        "encode: how many times faster",
        "decode: how many times faster",
        "server: ours, trace on, to one that keeps frames and synthesises",
        "idle session: ours to bare",
        "growth over 20 sessions, one by one",
        "inspector: no page open, CPU to a server without it",
        "inspector: one page open, more CPU share",
        "client decoder",
        "C suite, Python in process",
        *(["C suite, JavaScript over stdio"] if shutil.which("node") else []),
        "virtual time, json-envelope",
        "virtual time to its brains, json-envelope",
        "virtual time, binary-header",
        "virtual time to its brains, binary-header",
        "reading a tape, beside plain msgpack",
        *(["proxy: how many times cheaper than mitmproxy"] if shutil.which("mitmdump") else []),
        "study, with TCP",
        "1,000 turns of 20 s on every network, two cores",
    ]
    assert {"name", "value", "unit", "mark", "kept"} == set(figures[0])
