"""Commands in processes of their own that start at no cost: each is forked from one process that has imported
all that the commands need. It can be sent signals, killed and limited like any other.

What a command imports, and what an interpreter reads when it starts, must be tried with `subprocess` still.
"""

import atexit
import multiprocessing
import os
import random
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from unittest.mock import patch

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["spatius_sim.tests.preloaded_commands"])


class _Command(NamedTuple):
    """What a forked process does: `words` are what stands behind `python`. No file that it writes may have
    more than `most_bytes`, if that is not 0."""

    words: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    new_session: bool
    most_bytes: int


class Forked:
    """A command in a forked process, with the members of `subprocess.Popen` that the tests use. It is this
    Python with `-m`, a module and its arguments, or with `-c`, code and its arguments. What it writes to
    stderr is read apart, or comes with its output."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        *,
        errors_apart: bool = True,
        new_session: bool = False,
        most_bytes: int = 0,
    ) -> None:
        python, *words = command
        assert python == sys.executable
        plain = dict(os.environ if environment is None else environment)
        forked = _Command(tuple(words), str(folder), plain, new_session, most_bytes)
        output, writes = _CONTEXT.Pipe(duplex=False)
        errors, writes_errors = _CONTEXT.Pipe(duplex=False) if errors_apart else (None, writes)
        self._words = words
        self._process = _CONTEXT.Process(target=_run, args=(forked, writes, writes_errors))
        # Otherwise the forked process would import the main module of the tests first.
        with patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
            self._process.start()
        for connection in {writes, writes_errors}:
            connection.close()
        self.stdout = _reader(output)
        self._stderr = _reader(errors) if errors else None

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int:
        """The exit code, negative after a signal; the process must have ended."""
        assert self._process.exitcode is not None
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Read to the end, and wait for the end of the process. Raises subprocess.TimeoutExpired, after
        killing the process, if that takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        pipes = {pipe.fileno(): pipe for pipe in (self.stdout, self._stderr) if pipe and not pipe.closed}
        read = dict.fromkeys(pipes, b"")
        is_open = set(pipes)
        while is_open and (ready := wait(list(is_open), deadline - time.monotonic())):
            for number in ready:
                assert isinstance(number, int)
                part = os.read(number, 1 << 16)
                read[number] += part
                if not part:
                    is_open.remove(number)
        self._process.join(max(0.0, deadline - time.monotonic()))
        if is_open or self._process.exitcode is None:
            self.kill()
            self._process.join()
            raise subprocess.TimeoutExpired(list(self._words), timeout)
        texts = {pipe: read[number].decode() for number, pipe in pipes.items()}
        for pipe in texts:
            pipe.close()
        return texts.get(self.stdout, ""), texts.get(self._stderr, "") if self._stderr else ""


def run_forked(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    timeout: float,
    errors_apart: bool = True,
    most_bytes: int = 0,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and return what it printed and its exit code; see `Forked`."""
    process = Forked(command, folder, environment, errors_apart=errors_apart, most_bytes=most_bytes)
    output, errors = process.communicate(timeout)
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)


def _reader(connection: Connection) -> TextIOWrapper:
    """The text that comes out of this pipe, not buffered in lumps, so that a line is read as soon as it is
    written."""
    number = os.dup(connection.fileno())
    connection.close()
    return open(number, encoding="utf-8")


def _run(command: _Command, output: Connection, errors: Connection) -> None:
    """Become this command: what Python does at its start, and what it does at its end."""
    atexit._clear()
    random.seed()
    if command.new_session:
        os.setsid()
    os.chdir(command.folder)
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    for connection in {output, errors}:
        connection.close()
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open to the end
    sys.stderr = open(  # noqa: SIM115 - open to the end
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
    )
    os.environ.clear()
    os.environ.update(command.environment)
    if command.most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (command.most_bytes, command.most_bytes))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = _exit_code(command)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _exit_code(command: _Command) -> int:
    """Run the words of the command, and return the exit code that Python would end with."""
    kind, name, *arguments = command.words
    theirs = filter(None, command.environment.get("PYTHONPATH", "").split(os.pathsep))
    place = "" if kind == "-c" else command.folder
    sys.path[:] = [place, *map(os.path.abspath, theirs), *filter(None, sys.path)]
    try:
        if kind == "-c":
            sys.argv = ["-c", *arguments]
            exec(compile(name, "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = [name, *arguments]
            runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0
