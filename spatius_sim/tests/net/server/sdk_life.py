"""The whole life of a published Server SDK, in a process of its own: `sdk_life.py JOB` prints JSON.

The job is a JSON object: `sdk` (`spatius` or `avatarkit`), `console`, `ingress`, `query_auth`, `chunk`
(bytes), `turns` (each one base64 PCM), `sample_rate`.
"""

import asyncio
import importlib
import json
import sys
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any


async def live(job: dict[str, Any]) -> dict[str, Any]:
    sdk = importlib.import_module(job["sdk"])
    if hasattr(sdk, "configure_telemetry"):
        sdk.configure_telemetry("")
    payloads: list[bytes] = []
    errors: list[str] = []
    ended = asyncio.Event()
    closed = asyncio.Event()

    def on_frames(payload: bytes, last: bool) -> None:
        payloads.append(payload)
        if last:
            ended.set()

    session = sdk.new_avatar_session(
        console_endpoint_url=job["console"],
        ingress_endpoint_url=job["ingress"],
        api_key="an-api-key-of-some-length",
        app_id="sim-app",
        avatar_id=job["avatar_id"],
        use_query_auth=job["query_auth"],
        expire_at=datetime.now(UTC) + timedelta(minutes=5),
        sample_rate=job["sample_rate"],
        transport_frames=on_frames,
        on_error=lambda error: errors.append(repr(error)),
        on_close=closed.set,
    )
    await session.init()
    connection_id = await session.start()
    req_ids = []
    for turn in job["turns"]:
        pcm, size = b64decode(turn), job["chunk"]
        chunks = [pcm[start : start + size] for start in range(0, len(pcm), size)]
        for chunk in chunks[:-1]:
            await session.send_audio(chunk)
        req_ids.append(await session.send_audio(chunks[-1], end=True))
        await asyncio.wait_for(ended.wait(), 30)
        ended.clear()
    await session.close()
    return {
        "connection_id": connection_id,
        "req_ids": req_ids,
        "payloads": [b64encode(payload).decode() for payload in payloads],
        "errors": errors,
        "closed": closed.is_set(),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(live(json.load(sys.stdin)))))
