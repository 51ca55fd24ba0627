"""Plans for clients: unknown fields of every kind, and rules that are exercised in both modes."""

import pytest

from spatius_sim.plans.client_edge_cases import edge_cases_of
from spatius_sim.plans.client_plan import UNKNOWN_FIELDS, Move, PlannedPayload
from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.story.client_exchanges import read_given_payload
from spatius_sim.trace.decoder_events import StarvationMode


@pytest.mark.parametrize("form", UNKNOWN_FIELDS)
def test_unknown_fields_of_each_form_are_read_as_the_same_motion(form: str) -> None:
    payload = read_given_payload(PlannedPayload(3, form).encode(7))
    assert payload is not None
    assert payload.values == (7, 8, 9)
    assert payload.has_unknown_fields


@pytest.mark.parametrize("form", UNKNOWN_FIELDS)
def test_unknown_fields_of_each_form_are_at_every_level(form: str) -> None:
    envelope, motion = wire.Message.FromString(PlannedPayload(2, form).encode(7)), wire.Motion()
    response = envelope.server_response_animation
    motion.ParseFromString(response.animation)
    for level in (*motion.keyframes, motion, response, envelope):
        size = level.ByteSize()
        level.DiscardUnknownFields()
        assert level.ByteSize() < size


def test_each_form_of_unknown_fields_has_an_edge_case() -> None:
    forms = {
        payload.form
        for plan in edge_cases_of("C-UNKNOWN")
        for step in plan.steps
        if isinstance(step, Move)
        for payload in step.payloads or ()
    }
    assert forms == {"plain", *UNKNOWN_FIELDS}


@pytest.mark.parametrize("rule_id", [rule.id for rule in rules_for("client") if edge_cases_of(rule.id)])
def test_each_rule_has_edge_cases_in_both_modes(rule_id: str) -> None:
    assert {plan.mode for plan in edge_cases_of(rule_id)} == set(StarvationMode)
