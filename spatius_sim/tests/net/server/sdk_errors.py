"""Drives the published Server SDK into errors, many sessions at once, in a process of its own.

Reads a JSON list of jobs and prints a JSON list of what each session met, as the SDK tells it.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import spatius

CHUNK = 3200
SECONDS = 25.0


def facts(error: Any) -> dict[str, Any]:
    if not isinstance(error, spatius.AvatarSDKError):
        return {"code": repr(error)}
    names = ("phase", "http_status", "server_code", "close_code", "req_id")
    return {"code": error.code.value} | {name: getattr(error, name) for name in names}


async def meet(job: dict[str, Any]) -> dict[str, Any]:
    met: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    options = dict(job.get("options", {}))
    if "livekit" in job:
        options["livekit_egress"] = spatius.LiveKitEgressConfig(**job["livekit"])
    session = spatius.new_avatar_session(
        console_endpoint_url=job["console"],
        ingress_endpoint_url=job["ingress"],
        api_key="an-api-key-of-some-length",
        app_id=job.get("app_id", "sim-app"),
        avatar_id=job.get("avatar_id", "sim-avatar"),
        expire_at=datetime.now(UTC) + timedelta(seconds=job.get("expire_in", 300)),
        on_error=lambda error: met.put_nowait(facts(error)),
        on_close=lambda: met.put_nowait({"code": "closed without an error"}),
        **options,
    )
    try:
        await session.init()
        await session.start()
        # All at once: what is sent after the close would be an error of its own.
        await session.send_audio(bytes(30 * CHUNK), end=True)
        return await asyncio.wait_for(met.get(), SECONDS)
    except spatius.AvatarSDKError as error:
        return facts(error)
    except TimeoutError:
        return {"code": "nothing happened"}
    finally:
        await session.close()


async def meet_all(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(await asyncio.gather(*map(meet, jobs)))


if __name__ == "__main__":
    spatius.configure_telemetry("")
    print(json.dumps(asyncio.run(meet_all(json.load(sys.stdin)))))
