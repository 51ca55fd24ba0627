"""What people do with tapes: show, stats, cut, diff, export, and judge."""

import json
import wave
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatius_sim.miniatures.client.honest_clients import OddIds
from spatius_sim.miniatures.client.wrong_clients import LagsBehind
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_plan import Do, GiveAudio, Step, Wait
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.keyframes import JAW_POSE, WIDTH
from spatius_sim.protocol.messages import MotionResponse, PlaybackNews, PlaybackPhase
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tape.compare_tapes import compare_tapes
from spatius_sim.tape.cut_and_merge import TapeSlice, cut, merge
from spatius_sim.tape.import_export import export_motion, export_recordings, export_speech, import_recordings
from spatius_sim.tape.tape_statistics import count_tape_contents
from spatius_sim.tape.traces_on_tapes import read_traces, write_traces
from spatius_sim.tests.corpus.scenes import Scene
from spatius_sim.tests.rules.client.client_traces import motion, played
from spatius_sim.tests.rules.traces import TICK_NS, Dialogue, up_of, voice
from spatius_sim.tests.tape.samples import CLEANED, KEPT, WHATS, trace_of
from spatius_sim.trace.events import Lane, Sent, Trace, TraceHeader
from spatius_sim.wires.optional_features import UPSTREAM

ONE = voice("one", 3200)


def conversation(
    jaw: float = 0.25,
    *,
    error: bool = False,
    keyframes: int = 2,
    said_pcm: bytes = ONE,
    paused: bool = False,
) -> Trace:
    said = Dialogue()
    said.connects("up")
    said.audio_up("up", "req", said_pcm, end=True)
    rows = np.zeros((keyframes, WIDTH), np.float32)
    rows[1, JAW_POSE.start] = jaw
    said.server_says_raw("up", encode(MotionResponse("id", "req", False, rows)))
    said.motion("up", "req", 3, end=True, shade=1)
    if error:
        said.error("up", "req")
    if paused:
        said.server_says("up", PlaybackNews("id", "req", PlaybackPhase.PAUSED, 40))
    said.closed("up", by_kit=False)
    return said.trace


def taped(folder: Path, name: str, *traces: Trace) -> Path:
    write_traces(folder / f"{name}.tape", KEPT, list(traces))
    return folder / f"{name}.tape"


def test_the_figures_of_a_tape(tmp_path: Path) -> None:
    found = count_tape_contents(taped(tmp_path, "a", conversation(), conversation()))
    assert (found.runs, found.payloads, found.keyframes, found.connections) == (2, 4, 10, 2)
    assert found.speech_seconds == {16000: pytest.approx(0.4)}
    assert found.kinds["Sent"] == 6


def test_tapes_that_mean_the_same_do_not_differ(tmp_path: Path) -> None:
    one = conversation()
    said = Dialogue()
    said.connects("elsewhere")
    for start in range(0, len(ONE), 999):
        said.audio_up("elsewhere", "another", ONE[start : start + 999])
    said.audio_up("elsewhere", "another", end=True)
    rows = np.zeros((2, WIDTH), np.float32)
    rows[1, JAW_POSE.start] = 0.25
    said.server_says_raw("elsewhere", encode(MotionResponse("other", "another", False, rows)))
    said.motion("elsewhere", "another", 3, end=True, shade=1)
    said.closed("elsewhere", by_kit=False)
    assert list(compare_tapes(taped(tmp_path, "a", one), taped(tmp_path, "b", said.trace))) == []


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (
            conversation(0.75),
            "1 of 2 keyframes differ, by 0.00208 on average and 0.5 at most (keyframe 1, jaw_pose[0])",
        ),
        (conversation(keyframes=3), "payload 1: 2 keyframes against 3"),
        (conversation(paused=True), "nothing against playback: phase 2"),
        (conversation(error=True), "nothing against error 4001 'Credits exhausted'"),
        (conversation(said_pcm=ONE[:-2]), "6400 bytes of audio against 6398"),
        (conversation(said_pcm=ONE[:-2] + b"xy"), "the audio differs from byte 6398 on"),
    ],
)
def test_a_difference_is_told_in_words_and_numbers(tmp_path: Path, other: Trace, line: str) -> None:
    lines = list(compare_tapes(taped(tmp_path, "a", conversation()), taped(tmp_path, "b", other)))
    assert len(lines) == 1
    assert line in lines[0]
    assert lines[0].startswith("run 1, upstream 1, utterance 1: ")


def test_missing_runs_connections_and_payloads_are_told(tmp_path: Path) -> None:
    a = taped(tmp_path, "a", conversation())
    assert "run 2: only in" in next(compare_tapes(a, taped(tmp_path, "b", conversation(), conversation())))
    said = Dialogue()
    said.turn()
    lines = list(compare_tapes(a, taped(tmp_path, "c", said.trace)))
    assert any("downstream 1" in line and "only in the second" in line for line in lines)
    assert list(compare_tapes(taped(tmp_path, "d", trace_of(WHATS)), tmp_path / "d.tape")) == []


def test_a_piece_is_cut_out_with_its_handshake(tmp_path: Path) -> None:
    said = Dialogue()
    said.turn("ann")
    said.turn("bob")
    path, out = taped(tmp_path, "a", said.trace), tmp_path / "b.tape"
    bob = frozenset({"bob", up_of("bob", 0)})
    whole = cut(path, out, TapeSlice(connections=bob))
    (trace,) = read_traces(out)
    assert {event.connection for event in trace.events} == {*bob, ""}
    assert whole == len(trace.events)
    middle = said.last * 2 // 3 * TICK_NS
    cut(path, out, TapeSlice(from_ns=middle, connections=bob))
    (trace,) = read_traces(out)
    early = [event for event in trace.events if event.at_ns < middle]
    assert {event.lane for event in early} <= {Lane.UPSTREAM, Lane.CONSOLE, Lane.KIT}
    assert early
    with pytest.raises(UsageError, match="nothing of it"):
        cut(path, out, TapeSlice(run_number=2))
    with pytest.raises(UsageError, match="cannot be written at once"):
        cut(path, path, TapeSlice())
    assert (
        cut(taped(tmp_path, "c", said.trace, said.trace), out, TapeSlice(run_number=2, until_ns=3 * TICK_NS))
        > 0
    )


def test_without_a_common_payload_the_wall_clocks_are_believed(tmp_path: Path) -> None:
    up, down = Dialogue(), Dialogue()
    up.connects("up")
    down.ready("ann")
    write_traces(tmp_path / "up.tape", KEPT, [up.trace])
    later = replace(KEPT, recorded_unix_ms=KEPT.recorded_unix_ms + 1500)
    write_traces(tmp_path / "down.tape", later, [down.trace])
    assert merge(tmp_path / "up.tape", tmp_path / "down.tape", tmp_path / "m.tape") == 1_500_000_000
    assert merge(tmp_path / "down.tape", tmp_path / "up.tape", tmp_path / "m.tape") == -1_500_000_000
    (trace,) = read_traces(tmp_path / "m.tape")
    assert trace.events[-1].lane is Lane.DOWNSTREAM
    two = [
        taped(tmp_path, f"two {side}", said.trace, said.trace) for side, said in (("up", up), ("down", down))
    ]
    with pytest.raises(UsageError, match="both hold several runs"):
        merge(two[0], two[1], tmp_path / "x.tape")


@pytest.mark.parametrize("up_first", [True, False])
def test_what_a_proxy_saw_belongs_to_the_runs_of_an_observing_suite(up_first: bool, tmp_path: Path) -> None:
    said = Dialogue(lacks=(UPSTREAM,))
    said.connects("kept")
    said.turn("ann", 0)
    border = said.last
    said.turn("ann", 1)
    trace = said.trace
    above = {Lane.UPSTREAM, Lane.CONSOLE}
    seen = [event for event in trace.events if event.lane in above]
    heard = [event for event in trace.events if event.lane not in above]
    up = taped(tmp_path, "up", replace(trace, events=tuple(seen)))
    runs = [[e for e in heard if e.seq <= border], [e for e in heard if e.seq > border]]
    down = taped(tmp_path, "down", *(replace(trace, events=tuple(run)) for run in runs))
    merge(*((up, down) if up_first else (down, up)), tmp_path / "both.tape")
    first, second = read_traces(tmp_path / "both.tape")
    for trace in (first, second):
        assert trace.header.halves == "both"
        assert judge(trace)["R-MOTION-VERBATIM"].verdict is Verdict.PASSED
        assert judge(trace)["U-CONFIGURE"].verdict is Verdict.PASSED
    assert "kept" in {event.connection for event in second.events}


def recording(folder: Path) -> Path:
    said = conversation()
    sent = [event.content for event in said.events if isinstance(event.content, Sent)]
    payloads = [bytes(what.raw) for what in sent if isinstance(what.value, MotionResponse)]  # type: ignore[arg-type]
    stored = {
        "sample_rate": 16000,
        "audio_format": "pcm_s16le_mono",
        "audio_base64": b64encode(ONE).decode(),
        "connection_id": "id",
        "req_id": "req",
        "animation_messages_base64": [b64encode(payload).decode() for payload in payloads],
    }
    (folder / "one.json").write_text(json.dumps(stored))
    return folder / "one.json"


def test_a_recording_comes_back_as_it_was(tmp_path: Path) -> None:
    path = recording(tmp_path)
    import_recordings([path, path], tmp_path / "a.tape", "0", keep_audio=True)
    first, second = export_recordings(tmp_path / "a.tape", tmp_path / "out")
    assert first.read_bytes() == second.read_bytes() == path.read_bytes()
    wav, _ = export_speech(tmp_path / "a.tape", tmp_path / "out")
    with wave.open(str(wav)) as file:
        assert (file.getframerate(), file.readframes(10_000)) == (16000, ONE)
    npz, _ = export_motion(tmp_path / "a.tape", tmp_path / "out")
    with np.load(npz) as arrays:
        assert arrays["segments"].tolist() == [2, 3]
        assert arrays["jaw_pose"][1, 0] == np.float32(0.25)
    assert len(ONE) // 2 * KEYFRAMES_PER_SECOND // 16000 == 5


def test_speech_that_was_not_kept_cannot_be_exported(tmp_path: Path) -> None:
    import_recordings([recording(tmp_path)], tmp_path / "a.tape", "0", keep_audio=False)
    for export in (export_recordings, export_speech):
        with pytest.raises(UsageError, match="was not kept"):
            export(tmp_path / "a.tape", tmp_path / "out")
    assert len(export_motion(tmp_path / "a.tape", tmp_path / "out")) == 1
    write_traces(tmp_path / "kept.tape", CLEANED, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        export_motion(tmp_path / "a.tape", tmp_path / "file")


@pytest.mark.parametrize(
    ("export", "kind"), [(export_recordings, "json"), (export_speech, "wav"), (export_motion, "npz")]
)
def test_a_file_that_cannot_be_written_is_told_by_its_name(
    export: Callable[[Path, Path], list[Path]], kind: str, tmp_path: Path
) -> None:
    import_recordings([recording(tmp_path)], tmp_path / "a.tape", "0", keep_audio=True)
    (tmp_path / "out" / f"request-0001.{kind}").mkdir(parents=True)
    with pytest.raises(UsageError, match=rf"request-0001\.{kind} cannot be written: Is a directory"):
        export(tmp_path / "a.tape", tmp_path / "out")


ROUND: tuple[Step, ...] = (
    GiveAudio(600, True),
    motion(15),
    Wait(300),
    Do("interrupt"),
    motion(5, form="junk"),
)


def test_diff_of_clients_compares_calls_and_answers_and_leaves_ids_aside(tmp_path: Path) -> None:
    ours = played(*ROUND, client=own_client_factory(ClientDecoder))
    assert list(compare_tapes(taped(tmp_path, "a", ours), taped(tmp_path, "b", played(*ROUND)))) == []
    others_ids = taped(tmp_path, "c", played(*ROUND, client=own_client_factory(OddIds)))
    assert list(compare_tapes(tmp_path / "a.tape", others_ids)) == []
    silent = taped(tmp_path, "d", played(*ROUND, client=own_client_factory(LagsBehind)))
    assert any('"keyframesRendered"' in line for line in compare_tapes(tmp_path / "a.tape", silent))
    shorter = taped(tmp_path, "e", played(GiveAudio(640, True), motion(16), *ROUND[2:]))
    lines = list(compare_tapes(tmp_path / "a.tape", shorter))
    assert any("19200 bytes of audio against 20480" in line for line in lines)
    assert any("15 keyframes against 16" in line for line in lines)
    assert "run 1, client 1, call 13: only in the first" in list(
        compare_tapes(tmp_path / "a.tape", taped(tmp_path, "f", played(*ROUND[:-1])))
    )


@pytest.mark.parametrize("up_first", [True, False])
@pytest.mark.parametrize("wire", ["messagepack", "binary-header"])
def test_merged_halves_know_the_wire_and_what_it_lacks(tmp_path: Path, wire: str, up_first: bool) -> None:
    whole = Scene(wire).told(2)
    header = whole.header
    of_proxy = replace(header, wire="", declaration="", lacks=(), halves="upstream")
    up = half(whole, replace(of_proxy, plan=""), Lane.CONSOLE, Lane.UPSTREAM)
    down = half(whole, replace(header, halves="downstream"), Lane.KIT, Lane.DOWNSTREAM)
    both = (taped(tmp_path, "up", up), taped(tmp_path, "down", down))
    merge(*(both if up_first else both[::-1]), tmp_path / "both.tape")
    (merged,) = read_traces(tmp_path / "both.tape")
    told = merged.header
    assert (told.wire, told.declaration, told.lacks) == (header.wire, header.declaration, header.lacks)
    verdicts = {name: one.verdict for name, one in judge(merged).items()}
    assert verdicts == {name: one.verdict for name, one in judge(whole).items()}


def half(whole: Trace, header: TraceHeader, *lanes: Lane) -> Trace:
    """What of a trace was seen on these lanes."""
    seen = [event for event in whole.events if event.lane in lanes]
    return Trace(header, tuple(replace(event, seq=seq) for seq, event in enumerate(seen)))
