"""The real recording on tape: imported, served, recorded again through the proxy, exported, unchanged.

Needs SPATIUS_SIM_RECORDINGS=<folder>, with files in the shape of the SDK's HTTP example.
"""

import asyncio
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.engine.tapes.replay_tape import join_recorded_runs
from spatius_sim.engine.tapes.write_proxy_tape import recording_proxy
from spatius_sim.model.server.match_taped_turns import Match
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.server.replay_server import ReplayOptions, ReplayServer
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession
from spatius_sim.reporting.summary import ExitCode, exit_code
from spatius_sim.tape.compare_tapes import compare_tapes
from spatius_sim.tape.import_export import export_motion, export_recordings, export_speech, import_recordings
from spatius_sim.tape.sdk_recording import Recording, read_recording
from spatius_sim.tests.net.server.running_sdk import live

FOLDER = os.environ.get("SPATIUS_SIM_RECORDINGS", "")

if not FOLDER:
    pytest.skip("SPATIUS_SIM_RECORDINGS names no folder of recordings", allow_module_level=True)

PATHS = sorted(Path(FOLDER).glob("*.json"))
SECONDS = 60.0
recorded = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def stored(path: Path) -> object:
    return json.loads(path.read_bytes())


async def speak(endpoint: object, recording: Recording) -> None:
    """The recorded request again, in chunks, under the recorded id."""
    client = UpstreamClient(
        endpoint.console_endpoint,  # type: ignore[attr-defined]
        endpoint.ingress_endpoint,  # type: ignore[attr-defined]
        api_key="a-key-of-some-length",
        app_id="app",
        avatar_id="avatar",
        expire_at=int(time.time()) + 60,
    )
    async with asyncio.timeout(SECONDS), client:
        await client.send(encode(ConfigureSession(recording.sample_rate)))
        for start in range(0, len(recording.audio), 6400):
            await client.send(encode(AudioInput(recording.req_id, recording.audio[start : start + 6400])))
        await client.send(encode(AudioInput(recording.req_id, end=True)))
        heard = 0
        async for _ in client.frames():
            heard += 1
            if heard == len(recording.payloads) + 1:
                break


@recorded
async def test_imported_served_recorded_and_exported_it_is_unchanged(tmp_path: Path, path: Path) -> None:
    recording = read_recording(path)
    imported, again = tmp_path / "imported.tape", tmp_path / "again.tape"
    import_recordings([path], imported, "", keep_audio=True)
    playing = ReplayOptions(Match.AUDIO, speed=0, original_ids=True)
    async with (
        ReplayServer(join_recorded_runs(imported), playing) as server,
        recording_proxy((f"http://127.0.0.1:{server.port}",), again, keep_audio=True) as (proxy, _),
    ):
        await speak(proxy, recording)
    assert server.mismatches == []
    assert list(compare_tapes(imported, again)) == []
    (exported,) = export_recordings(again, tmp_path / "out")
    assert stored(exported) == stored(path)
    assert read_recording(exported).payloads == recording.payloads
    assert exit_code(check_tape(again)) is ExitCode.PASSED


@recorded
async def test_through_the_sdk_its_payloads_are_the_same_bytes(tmp_path: Path, path: Path) -> None:
    pytest.importorskip("spatius")
    recording = read_recording(path)
    imported, again = tmp_path / "imported.tape", tmp_path / "again.tape"
    import_recordings([path], imported, "", keep_audio=True)
    async with (
        ReplayServer(join_recorded_runs(imported), ReplayOptions(speed=0, original_ids=True)) as server,
        recording_proxy((f"http://127.0.0.1:{server.port}",), again, keep_audio=True) as (proxy, _),
    ):
        life = await live(proxy, [recording.audio], sample_rate=recording.sample_rate)  # type: ignore[arg-type]
    assert life.payloads == list(recording.payloads)
    assert list(compare_tapes(imported, again)) == []
    (exported,) = export_recordings(again, tmp_path / "out")
    assert read_recording(exported).payloads == recording.payloads


@recorded
def test_motion_and_speech_come_out_as_arrays_and_wav(tmp_path: Path, path: Path) -> None:
    import_recordings([path], tmp_path / "a.tape", "", keep_audio=True)
    (wav,) = export_speech(tmp_path / "a.tape", tmp_path)
    assert read_recording(path).audio in wav.read_bytes()
    (npz,) = export_motion(tmp_path / "a.tape", tmp_path)
    with np.load(npz) as arrays:
        assert arrays["expression"].shape == (int(arrays["segments"].sum()), 100)
