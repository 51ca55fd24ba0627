"""`serve` looks at the signatures of Agora's tokens if it is given the certificate, which no text repeats."""

import asyncio
import os
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from spatius_sim.protocol.messages import (
    AgoraEgress,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    ServerError,
)
from spatius_sim.tests.net.talk import talk
from spatius_sim.tests.protocol import test_agora_token
from spatius_sim.tests.protocol.test_agora_token import ALL, CERTIFICATE, CHANNEL, MAKERS, UID
from spatius_sim.tests.serving import serving

SECONDS = 60


def asks_with(token: str) -> ConfigureSession:
    egress = AgoraEgress(CHANNEL, token=token, uid=int(UID))
    return ConfigureSession(16_000, egress_type=EgressType.AGORA, agora_egress=egress)


def token_signed_by(certificate: str, version: str) -> str:
    """A token of this version that holds now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_agora_token, "NOW", int(time.time()) - 10)
        patch.setattr(test_agora_token, "CERTIFICATE", certificate)
        return MAKERS[version](ALL)


@pytest.mark.parametrize("in_environment", [True, False], ids=["environment", "option"])
async def test_serve_lets_in_whom_the_certificate_signed(in_environment: bool) -> None:
    arguments = [] if in_environment else [f"--agora-certificate={CERTIFICATE}"]
    environment = {"AGORA_APP_CERTIFICATE": CERTIFICATE if in_environment else ""}
    with serving(*arguments, **environment) as server:
        for version in MAKERS:
            signed, forged = token_signed_by(CERTIFICATE, version), token_signed_by("d" * 32, version)
            async with talk(server, asks_with(signed)) as session:
                assert isinstance(await session.hear(), ConfirmSession)
            async with talk(server, asks_with(forged)) as session:
                refused = await session.hear()
            assert isinstance(refused, ServerError)
            assert refused.code == 16
            assert refused.message == (
                "unauthorized: the Agora token is not signed by the certificate of the app"
            )
        listed = await asyncio.to_thread(lambda: urlopen(f"{server.control_endpoint}/sessions").read())
    assert CERTIFICATE not in "".join([listed.decode(), *server.output, *server.errors])


@pytest.mark.parametrize("arguments", [["--help"], ["--port=many"]])
def test_no_text_of_serve_shows_the_certificate(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "spatius_sim", "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=os.environ | {"AGORA_APP_CERTIFICATE": CERTIFICATE, "COLUMNS": "120"},
    )
    assert CERTIFICATE not in ran.stdout + ran.stderr
    assert ("AGORA_APP_CERTIFICATE" in ran.stdout) is (arguments == ["--help"])
