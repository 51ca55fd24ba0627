"""What a relay itself offers to say is found out where it lists it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from spatius_sim.cli.common import fill_in_http_wire
from spatius_sim.cli.doctor.find_turn_offers import CLIP_LIST_PATH, list_clips, list_turn_offers
from spatius_sim.cli.doctor.findings_and_advice import relay_findings
from spatius_sim.cli.verify import _check_options_early
from spatius_sim.engine.run_settings import Settings
from spatius_sim.protocol.errors import UsageError
from spatius_sim.tests.cli.doctor.test_doctor import NOWHERE


@contextmanager
def listing(body: bytes) -> Iterator[str]:
    """The ws:// URL of a relay whose list of clips is these bytes."""

    class Lists(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == CLIP_LIST_PATH else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Lists) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"ws://127.0.0.1:{server.server_port}/ws/agent"
        finally:
            server.shutdown()


def test_the_clips_of_the_vendor_s_demo_are_offered_first() -> None:
    with listing(b'{"clips": [{"name": "Hi", "clip": "hi.pcm"}, {"clip": "b"}, {"clip": "c"}]}') as relay:
        assert list_clips(relay) == ["hi.pcm", "b"]
        assert list_turn_offers(relay, "json-envelope") == [
            "clip:hi.pcm",
            "clip:b",
            "text:Hello, how are you?",
        ]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"clips": 3}', b'{"clips": [{}]}', b'{"clips": [{"clip": 1}]}', b"[" * 60_000]
)
def test_a_list_that_is_none_offers_nothing(body: bytes) -> None:
    with listing(body) as relay:
        assert list_clips(relay) == []


def test_a_wire_without_a_client_s_speech_wants_to_know_how_a_turn_is_started() -> None:
    with pytest.raises(UsageError, match="carries no speech of a client: say how"):
        Settings(target="ws://a", wire="typed-json-voice").check()
    Settings(target="ws://a", wire="typed-json-voice", turn="clip:alto").check()


def test_only_what_the_wire_can_say_is_offered() -> None:
    assert list_turn_offers("ws://127.0.0.1:9", "typed-json") == []
    assert list_turn_offers("http://127.0.0.1:9", "http-document") == ["clip:16000"]


def test_an_http_backend_needs_no_wire_to_be_looked_at_and_is_told_its_name_else() -> None:
    assert fill_in_http_wire({"target": "http://a/turn"})["wire"] == "http-document"
    assert fill_in_http_wire({"target": "http://a/turn", "wire": "ours.yaml"})["wire"] == "ours.yaml"
    assert "wire" not in fill_in_http_wire({"target": "ws://a"})
    with pytest.raises(UsageError, match="--wire http-document"):
        _check_options_early({"target": "http://a/turn"})
    with pytest.raises(UsageError, match="--wire http-document"):
        Settings(target="http://a/turn").check()


def test_an_endpoint_in_this_environment_that_is_not_ours_is_named() -> None:
    def advice(ingress: str) -> str:
        settings = Settings(target="ws://r", environment={"SPATIUS_INGRESS_ENDPOINT": ingress})
        return next(finding.advice for finding in relay_findings(NOWHERE, settings) if not finding.is_ok)

    assert advice("wss://elsewhere/v2/driveningress").startswith(
        "this environment sets SPATIUS_INGRESS_ENDPOINT"
    )
    assert advice("ws://127.0.0.1:8700/v2/driveningress").startswith("start it with")
