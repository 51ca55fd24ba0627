"""Files that people name: a pipe is read, and nobody waits for ever for one that nobody writes to."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from spatius_sim.files import open_named_file
from spatius_sim.files.clip_file import read_clip
from spatius_sim.files.yaml_file import read_yaml_bytes
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.formats.json_report import read_report
from spatius_sim.tape.sdk_recording import read_recording


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("read", [read_yaml_bytes, read_clip, read_report, read_recording])
def test_nobody_waits_for_ever_for_a_pipe(
    pipe: Path, read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_named_file, "_PIPE_SECONDS", 0.01)
    with pytest.raises(UsageError, match=f"{pipe}: a pipe from which nothing comes"):
        read(pipe)


def test_what_somebody_writes_into_a_pipe_is_read(pipe: Path) -> None:
    content = b"a: b\n" * 10_000
    writer = Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert read_yaml_bytes(pipe) == content
    writer.join()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory"):
        read_yaml_bytes(tmp_path)
