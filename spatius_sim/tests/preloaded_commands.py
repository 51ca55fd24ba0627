"""Imports what `pytest` and `spatius-sim` import, for the processes that `forked.py` forks. A small session
of pytest comes first: its hook must import the plugins, as it does in a process of its own."""

import contextlib
import importlib
import io
import tempfile

import pytest

with tempfile.TemporaryDirectory() as _folder, contextlib.redirect_stdout(io.StringIO()):
    pytest.main(["-p", "no:cacheprovider", "-q", f"--rootdir={_folder}", _folder])

for _name in ("cli.verify_output", "engine.end_run", "engine.judge_run", "pytest_plugin.plugin"):
    importlib.import_module(f"spatius_sim.{_name}")
