"""The public strategies draw what they promise."""

from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.plans import hypothesis_strategies as spatius
from spatius_sim.plans.client_plan import CURRENT, ClientPlan, Do, GiveAudio, Ref
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.events import Undecodable
from spatius_sim.trace.read_frames import read_upstream


@given(spatius.audio(10, 100))
def test_audio_is_whole_samples_of_the_length_asked_for(pcm: bytes) -> None:
    assert len(pcm) % 2 == 0
    assert 10 <= len(pcm) // 2 <= 100


@given(st.data(), spatius.audio(most_samples=500), st.booleans())
def test_a_chunking_loses_nothing(data: st.DataObject, pcm: bytes, aligned: bool) -> None:
    chunks = data.draw(spatius.chunkings(pcm, 6, aligned=aligned))
    assert b"".join(chunks) == pcm
    assert len(chunks) <= 6
    assert not aligned or all(len(chunk) % 2 == 0 for chunk in chunks)


@given(spatius.motion_payloads(5, req_id="r"))
def test_a_motion_payload_is_one(payload: bytes) -> None:
    message = read_upstream(payload)
    assert isinstance(message, MotionResponse)
    assert message.req_id == "r"
    assert 1 <= len(message.keyframes) <= 5


@given(spatius.undecodable_payloads())
def test_an_undecodable_payload_is_none(payload: bytes) -> None:
    assert isinstance(read_upstream(payload), Undecodable)


@given(spatius.foreign_refs(), st.lists(st.uuids().map(str), min_size=1, max_size=3, unique=True))
def test_a_foreign_reference_is_never_the_current_id(ref: Ref, ids: list[str]) -> None:
    if ref.twist != "other case" or ids[-1].swapcase() != ids[-1]:
        assert ref.resolve(ids) != CURRENT.resolve(ids)


@given(spatius.client_plans())
def test_a_legal_plan_resumes_only_what_was_paused(plan: ClientPlan) -> None:
    paused = False
    for step in plan.steps:
        assert not (paused and isinstance(step, GiveAudio))
        assert paused or step != Do("resume")
        if isinstance(step, Do):
            paused = step.what == "pause"


@given(spatius.illegal_client_plans())
def test_a_plan_is_told_in_words(plan: ClientPlan) -> None:
    assert str(plan.sample_rate) in str(plan)
