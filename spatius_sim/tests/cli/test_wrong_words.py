"""A wrong word on the command line is told at once, with the word that may have been meant."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from spatius_sim.cli.main import cli
from spatius_sim.protocol.errors import UsageError

HEAVY = {"hypothesis", "aiohttp", "websockets", "rich"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("verify ws://x --rule R-ENDAUDIO", "no rule has the id 'R-ENDAUDIO'; did you mean R-END-AUDIO"),
        ("verify ws://x --profile nigthly", "did you mean nightly?"),
        ("verify ws://x --level mus", "did you mean must?"),
        ("verify --target ws://x --rule ZZZ", "`spatius-sim rules` lists them all"),
        ("verify nonsense", "--target 'nonsense': a URL that begins with ws:// or wss://"),
        ("verify --target nonsense", "--target 'nonsense': a URL that begins with ws:// or wss://"),
        ("verify ws://x --target ws://y", "two relays are named"),
        ("verify --target=", "--target is empty"),
        ("verify ws://x --wire json-envelop", "did you mean json-envelope"),
        ("verify ws://x --lacks egres", "did you mean egress?"),
        ("serve --scenario mid-turn-crsh", "did you mean mid-turn-crash"),
        ("serve --scenario zzz", "`spatius-sim scenarios` lists them all"),
        ("wire show json-envelop", "did you mean json-envelope"),
    ],
)
def test_a_wrong_word_is_told_with_the_right_one(arguments: str, said: str) -> None:
    ran = CliRunner().invoke(cli, arguments.split(), standalone_mode=False)
    assert isinstance(ran.exception, UsageError)
    assert said in str(ran.exception)


@pytest.mark.parametrize(
    "arguments", ["verify ws://x --rule R-ENDAUDIO", "verify nonsense", "verify ws://x --profile nigthly"]
)
def test_nothing_heavy_is_imported_for_it(arguments: str) -> None:
    code = (
        f"import sys; sys.argv = ['spatius-sim', *{arguments.split()}]\n"
        "from spatius_sim.cli.main import main\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 4, ran.stderr
    assert not HEAVY & set(ran.stdout.split())


@pytest.mark.parametrize("command", ["verify", "doctor", "init"])
def test_the_url_may_stand_behind_target(command: str) -> None:
    ran = CliRunner().invoke(cli, [command, "--target", "nonsense"], standalone_mode=False)
    assert "--target 'nonsense': a URL" in str(ran.exception)
