"""The JavaScript shim as a package: packed by npm, installed from its file alone, imported by
its name, and typed."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from spatius_sim import __version__
from spatius_sim.net.client import testee_connection as attached
from spatius_sim.tests.client_js.dialogue import RATE, Asker, audio, converse
from spatius_sim.tests.client_js.running import CLIENT, SECONDS, node, program
from spatius_sim.tests.engine.test_example_relays import MODULES

NAME = "spatius-sim-testee"
OWN_CLIENT = f"""
import {{ AvatarClient }} from "{CLIENT / "avatar_client.js"}";
export class MyClient extends AvatarClient {{
  takeRendered() {{ return []; }}
}}
"""
TYPED = """
import { serveStdio, type Adapter, type Client } from "spatius-sim-testee";
import { referenceAdapter } from "spatius-sim-testee/reference";

class Mine implements Client {
  yieldAudioData(audio: Uint8Array, end: boolean) { return end ? null : `c-${audio.length}`; }
  async interrupt() {}
}
const adapter: Adapter<Mine> = {
  name: "mine", clock: "real", modes: ["strictSync"], lacks: ["advance"],
  create: async ({ sampleRate }) => { sampleRate.toFixed(); return new Mine(); },
  observe: () => ({ state: "idle" }),
};
const served: Promise<void> = serveStdio(adapter);
serveStdio(referenceAdapter("real"));

// @ts-expect-error: no clock is of this kind
serveStdio({ ...adapter, clock: "fast" });
// @ts-expect-error: observe says what no document knows
serveStdio({ ...adapter, observe: () => ({ state: "talking" }) });
// @ts-expect-error: an adapter without a name
const nameless: Adapter = { clock: "real", modes: [], create: () => new Mine(), observe: () => ({}) };
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed in it, without any network."""
    node()
    packed, folder = tmp_path_factory.mktemp("packed"), tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    environment = os.environ | {"npm_config_offline": "true", "npm_config_cache": str(packed / "cache")}
    for command, where in (
        (["pack", f"--pack-destination={packed}"], CLIENT),
        (["install", "--no-audit", "--no-fund", str(packed / f"{NAME}-{__version__}.tgz")], folder),
    ):
        ran = subprocess.run(
            [program("npm"), *command],
            cwd=where,
            env=environment,
            capture_output=True,
            text=True,
            timeout=3 * SECONDS,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def test_it_has_the_version_of_the_kit_and_is_never_published() -> None:
    package = json.loads((CLIENT / "package.json").read_text())
    assert (package["version"], package["private"]) == (__version__, True)
    assert "dependencies" not in package


async def test_the_testee_in_it_answers_a_dialogue(project: Path) -> None:
    testee = attached.StdioTestee(str(project / "node_modules" / ".bin" / "spatius-sim-reference-testee"))
    await testee.open(SECONDS)
    try:
        await converse(testee)
    finally:
        await testee.close()


@pytest.mark.parametrize("file", ["shim.cjs", "shim.mjs"])
def test_commonjs_imports_it_as_the_document_says(file: str, project: Path) -> None:
    told = 'await import("spatius-sim-testee")'
    assert f"`{told}`" in (CLIENT.parents[1] / "docs" / "clients.md").read_text()
    (project / file).write_text(f"(async () => console.log(typeof ({told}).serveStdio))();")
    ran = subprocess.run([node(), file], cwd=project, capture_output=True, text=True, timeout=SECONDS)
    assert ran.stdout == "function\n", ran.stderr


async def test_the_shim_of_the_document_works_as_it_stands(project: Path) -> None:
    (shim,) = re.findall(
        r"```js\n(.*?)```", (CLIENT.parents[1] / "docs" / "clients.md").read_text(), re.DOTALL
    )
    (project / "my_client.mjs").write_text(OWN_CLIENT)
    (project / "my_shim.mjs").write_text(shim)
    testee = attached.StdioTestee(shlex.join([node(), str(project / "my_shim.mjs")]))
    await testee.open(SECONDS)
    try:
        ask = Asker(testee)
        assert (await ask.result("hello", protocol=1))["name"] == "my client"
        await ask("reset", sampleRate=RATE, mode="audioIndependent")
        said = await ask.result("yieldAudioData", audio=audio(1000), end=True)
        await ask("advance", ms=500)
        seen = {"state": "playing", "samplesPlayed": 8000, "keyframesRendered": []}
        assert await ask.result("observe") == said | seen
    finally:
        await testee.close()


@pytest.mark.parametrize("name", ["shim", "reference_adapter"])
def test_what_is_typed_is_what_is_exported(name: str) -> None:
    declared = re.findall(r"^export function (\w+)", (CLIENT / f"{name}.d.ts").read_text(), re.MULTILINE)
    ask = f"console.log(Object.keys(await import({str(CLIENT / f'{name}.js')!r})).join())"
    ran = subprocess.run(
        [node(), "--input-type=module", "-e", ask], capture_output=True, text=True, timeout=SECONDS
    )
    assert sorted(declared) == sorted(ran.stdout.strip().split(",")), ran.stderr


def test_its_types_take_what_is_right_and_refuse_what_is_wrong(project: Path) -> None:
    compiler = Path(os.environ.get(MODULES, "nowhere")) / "typescript" / "bin" / "tsc"
    if not compiler.is_file():
        missing = f"the npm package typescript is not in the folder that {MODULES} names"
        pytest.fail(missing) if os.environ.get("SPATIUS_SIM_REQUIRE") == "1" else pytest.skip(missing)
    (project / "typed.ts").write_text(TYPED)
    options = [
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--lib",
        "es2022",
    ]
    ran = subprocess.run(
        [node(), str(compiler), *options, "typed.ts"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=3 * SECONDS,
    )
    assert ran.returncode == 0, ran.stdout
