"""What the documents say can be followed: every link leads somewhere, we have every command line, and what is
to be copied into a file is taken as it stands."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from spatius_sim.cli.main import cli
from spatius_sim.engine.baseline_file import read_baseline
from spatius_sim.engine.conformance_file import read_conformance_file
from spatius_sim.engine.option_table import JUDGE_OPTIONS
from spatius_sim.files.scenario_file import read_scenario
from spatius_sim.files.wire_file import read_wire

ROOT = Path(__file__).resolve().parents[2]
CONFORMANCE = ROOT / "conformance"
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "fixtures" / "README.md", *sorted(CONFORMANCE.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
BLOCK = re.compile(r"```(sh|yaml|python)\n(.*?)```", re.DOTALL)
SPOKEN = re.compile(r"`(spatius-sim [^`]*)`")
"""A command line within a sentence."""

pytestmark = pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="the documents lie in a clone")


def anchors(page: Path) -> set[str]:
    """The names by which GitHub links the headings of a page."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def blocks(language: str) -> list[tuple[str, str]]:
    """Each block of this language, with its page."""
    return [
        (str(page.relative_to(ROOT)), block)
        for page in PAGES
        for found, block in BLOCK.findall(page.read_text())
        if found == language
    ]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Each program that a shell block or a sentence starts, with its page."""
    for page, block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for words in _programs(line):
                yield page, words
    for path in PAGES:
        for line in SPOKEN.findall(path.read_text()):
            if "..." not in line:
                yield str(path.relative_to(ROOT)), shlex.split(line.replace("|", " "))


def _programs(line: str) -> Iterator[list[str]]:
    """The words of each program in a line of shell."""
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word in ("&&", "|", ";", "&"):
            yield words
            words = []
        else:
            words.append(word)


def started(program: str) -> list[tuple[str, list[str]]]:
    return [(page, words[1:]) for page, words in command_lines() if words[:1] == [program]]


@pytest.mark.parametrize(("page", "words"), started("spatius-sim"), ids=lambda value: str(value)[:60])
def test_every_command_line_is_one_that_we_have(page: str, words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"{page}: no command {words[0]}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context)
    command.make_parser(context).parse_args(list(words))


@pytest.mark.parametrize(("page", "words"), started("pytest"), ids=lambda value: str(value)[:60])
def test_every_option_of_pytest_is_ours_or_its_own(page: str, words: list[str]) -> None:
    ours = {"--tape", *(f"--{option.name}" for option in JUDGE_OPTIONS)}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in ours | {"--dist"}, page
        elif "/" in word:
            assert (ROOT / word).exists(), page


@pytest.mark.parametrize("program", ["cp", "node", "python", "bash"])
def test_every_file_that_a_command_line_names_is_here(program: str) -> None:
    for page, words in started(program):
        files = [word for word in words if word.endswith((".py", ".js", ".mjs", ".sh")) and "/" in word]
        assert all((ROOT / file).is_file() for file in files), (page, words)


def _read_conformance(path: Path) -> Any:
    return read_conformance_file(path, path.name)


READERS: dict[str, Callable[[Path], Any]] = {
    "faults": read_scenario,
    "relay": read_wire,
    "known-failures": lambda path: read_baseline(path, "relay"),
    "target": _read_conformance,
}
"""By a key that only this kind of file has: what reads it."""


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_every_file_to_copy_is_taken(
    page: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_AUTHORIZATION", "Bearer x")
    loaded = yaml.safe_load(block)
    if isinstance(loaded, dict) and (kinds := READERS.keys() & loaded.keys()):
        (tmp_path / "copied.yaml").write_text(block)
        READERS[kinds.pop()](tmp_path / "copied.yaml")


@pytest.mark.parametrize(("page", "block"), blocks("python"))
def test_every_piece_of_python_compiles(page: str, block: str) -> None:
    compile(block, page, "exec")


def test_the_index_names_every_page_and_explains_at_most_twenty_words() -> None:
    index = CONFORMANCE / "README.md"
    linked = {(CONFORMANCE / link).resolve() for link in LINK.findall(index.read_text()) if ":" not in link}
    assert {page for page in PAGES if page.parent.name == "docs"} <= linked
    glossary = index.read_text().partition("## Glossary")[2]
    words = re.findall(r"^\| ([a-z ]+) \|", glossary, re.MULTILINE)
    assert words[0] == "word"
    assert 0 < len(words[1:]) <= 20


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180
