"""A client's trace as a dialogue: every call with what was seen after it, the differing line marked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.timeline.event_words import EventWords, jaw_of
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.trace.events import Lane, Received, Sent, Trace
from spatius_sim.trace.reading import read_upstream
from spatius_sim.wires.testee import TesteeAnswer, TesteeRequest

_MARK, _PLAIN = "    => ", "       "
_DRAWN = {"yieldAudioData": MarkKind.AUDIO, "yieldFramesData": MarkKind.MOTION}


def dialogue(trace: Trace | None, marked: Sequence[int]) -> str:
    """One line for each call and its `observe`; "" where there is no client's trace. `marked` are sequence
    numbers."""
    if trace is None or trace.header.subject != "client":
        return ""
    lines: list[str] = []
    call, seqs = "", set[int]()
    for event in trace.on(Lane.CLIENT):
        value = getattr(event.what, "value", None)
        if isinstance(event.what, Sent) and isinstance(value, TesteeRequest):
            if value.do not in ("hello", "observe"):
                lines, call, seqs = _flush(lines, call, seqs, marked), _call(value), set()
        elif isinstance(event.what, Received) and isinstance(value, TesteeAnswer):
            call += _answer(value)
        seqs.add(event.seq)
    return "\n".join(_flush(lines, call, seqs, marked))


def call_said(said: TesteeRequest | TesteeAnswer) -> EventWords:
    """A call, or what came back, as a time-line shows it: of the answers only those that say something."""
    if isinstance(said, TesteeAnswer):
        told = _answer(said).removeprefix(" -> ").strip()
        kind = MarkKind.FAULT if said.error is not None else MarkKind.MESSAGE
        return EventWords(kind, told, minor=said.error is None)
    kind = _DRAWN.get(said.do, MarkKind.MESSAGE)
    read = map(read_upstream, said.frames or ())
    payloads = [message for message in read if isinstance(message, MotionResponse)]
    jaw = np.concatenate([jaw_of(message) for message in payloads]) if payloads else None
    minor = said.do in ("hello", "observe")
    return EventWords(kind, _call(said), minor=minor, stream=said.conversation_id, pcm=said.audio, jaw=jaw)


def _flush(lines: list[str], call: str, seqs: set[int], marked: Sequence[int]) -> list[str]:
    if not call:
        return lines
    mark = _MARK if seqs & set(marked) else _PLAIN
    return [*lines, f"{mark}{call}"]


def _call(request: TesteeRequest) -> str:
    match request.do:
        case "yieldAudioData":
            samples = len(request.audio) // BYTES_PER_SAMPLE
            return f"yieldAudioData({samples} samples{', end' if request.end else ''})"
        case "yieldFramesData":
            payloads = "nothing" if request.frames is None else f"{len(request.frames)} payloads"
            return f"yieldFramesData({payloads}, {request.conversation_id!r})"
        case "advance":
            return f"advance({request.ms} ms)"
        case "reset":
            return f"reset({request.sample_rate} Hz, {request.mode or 'no mode'})"
    return f"{request.do}()"


def _answer(answer: TesteeAnswer) -> str:
    if answer.unimplemented:
        return " -> unimplemented"
    if answer.error is not None:
        return f" -> threw {answer.error}"
    result = answer.result
    if "state" not in result and "samplesPlayed" not in result:
        told = result.get("conversationId")
        return f" -> {told!r}" if told is not None else ""
    return f"   [{', '.join(_seen(result))}]"


def _seen(result: dict[str, Any]) -> list[str]:
    shown = result.get("keyframesRendered") or []
    rendered = f"rendered {shown[0]}..{shown[-1]}" if len(shown) > 1 else f"rendered {shown}"
    seen = [str(result.get("state")), f"id {result.get('conversationId')!r}"]
    seen += [f"{result.get('samplesPlayed')} samples"] + ([rendered] if shown else [])
    return [*seen, "stalled"] if result.get("stalled") else seen
