"""`python -m spatius_sim.miniatures.rule_pages DIR`: writes a Markdown page for each rule."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from spatius_sim.files.scenario_file import shipped_scenario
from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES
from spatius_sim.miniatures.relay.wrong_relays import RELAY_MINIATURES
from spatius_sim.miniatures.relay.wrong_with_clips import CLIP_MINIATURES
from spatius_sim.miniatures.room.wrong_rooms import ROOM_MINIATURES
from spatius_sim.miniatures.server.wrong_servers import SERVER_MINIATURES
from spatius_sim.rules.catalogue import REVISION, RULES
from spatius_sim.rules.rule import Rule
from spatius_sim.rules.rule_sources import sources

INDEX = "README.md"
_MADE_BY = "<!-- Made by `python -m spatius_sim.miniatures.rule_pages DIR` from the catalogue. -->"
_SUBJECTS = {
    "relay": "ws://...",
    "server": "--server=http://...",
    "client": '--client="..."',
    "room": "--server=http://... --room=ws://...",
}
_MINIATURES: tuple[Mapping[str, tuple[type | str, ...]], ...] = (
    RELAY_MINIATURES,
    CLIP_MINIATURES,
    SERVER_MINIATURES,
    CLIENT_MINIATURES,
    ROOM_MINIATURES,
)
_PROVENANCES = {
    "DOCUMENTED": "It stands in the vendor's documents.",
    "OBSERVED": "It is what published software was seen to do.",
    "ASSUMED": "No document says it; the kit had to decide.",
    "SAFETY": "It needs no document: who breaks it harms others.",
}


def rule_pages() -> dict[str, str]:
    """Return the text of each page by file name: one page for each rule, and an index."""
    pages = {f"{rule.id}.md": _page(rule) for rule in RULES.values()}
    return {INDEX: _index(RULES)} | pages


def write_rule_pages(folder: Path) -> None:
    """Write the pages into this folder, and delete the pages of rules that no longer exist."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = rule_pages()
    for path in folder.glob("*.md"):
        if path.name not in pages and path.read_text(encoding="utf-8").startswith(_MADE_BY):
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def _page(rule: Rule) -> str:
    """Compose a rule's page: sentence, sources, who breaks it, what it presumes, how to judge it alone."""
    sentence = f"{rule.sentence[0].upper()}{rule.sentence[1:]}."
    lines = [
        _MADE_BY,
        f"# {rule.id}",
        f"**{rule.level}**, judges a {rule.subject}.",
        sentence,
        *_describe_advice(rule),
        "## Where it comes from",
        f"{rule.provenance}. {_PROVENANCES[rule.provenance]}",
        "\n".join(
            "- " + (f"[{source.title}]({source.address})" if source.address else source.title)
            for source in sources(rule.source)
        ),
    ]
    wrong = [miniature for table in _MINIATURES for miniature in table.get(rule.id, ())]
    if wrong:
        lines.append(f"## A {rule.subject} that breaks it")
        lines.append("\n".join(f"- {_describe_miniature(miniature)}" for miniature in wrong))
    after = [other.id for other in RULES.values() if rule.id in other.presumes]
    if rule.presumes or after or rule.needs or rule.only_lacking:
        lines.append("## When it is judged")
    if rule.presumes:
        lines.append(f"Only if these were kept: {_links(rule.presumes)}.")
    if after:
        lines.append(f"While it fails, these are not judged: {_links(after)}.")
    if rule.needs:
        named = ", ".join(f"`{feature}`" for feature in rule.needs)
        # A client's testee says itself what it lacks.
        option = "" if rule.subject == "client" else " (`--lacks`)"
        lines.append(f"It does not apply to a {rule.subject} that lacks {named}{option}.")
    if rule.only_lacking:
        lines.append(f"It applies only to a {rule.subject} that lacks `{rule.only_lacking}` (`--lacks`).")
    command = f"spatius-sim verify {_SUBJECTS[rule.subject]} --rule {rule.id}"
    return "\n\n".join([*lines, "## Judge it alone", f"```sh\n{command}\n```"]) + "\n"


def _describe_advice(rule: Rule) -> list[str]:
    """Return the paragraphs on what users see if the rule is broken, why it may be, and how to mend it."""
    if rule.advice is None:
        return []
    effect, cause, mend = (
        f"{text[0].upper()}{text[1:]}." for text in (rule.advice.effect, rule.advice.cause, rule.advice.mend)
    )
    return [
        "## When it is broken",
        f"**Users see:** {effect}",
        f"**Likely:** {cause}",
        f"**Mend it:** {mend}",
    ]


def _describe_miniature(miniature: type | str) -> str:
    """Return what a miniature does wrong, in one line; a text is the name of a shipped scenario."""
    if isinstance(miniature, str):
        return f"{shipped_scenario(miniature).about} (`spatius-sim serve --livekit --scenario {miniature}`)"
    return " ".join((miniature.__doc__ or "").split())


def _index(rules: Mapping[str, Rule]) -> str:
    """Compose the table of contents: all rules by the kind of subject that they judge."""
    parts = [_MADE_BY, "# Every rule", f"{len(rules)} rules, revision {REVISION} of the catalogue."]
    for subject in _SUBJECTS:
        rows = [
            f"| [{rule.id}]({rule.id}.md) | {rule.level} | {rule.sentence} |"
            for rule in rules.values()
            if rule.subject == subject
        ]
        parts += [f"## For a {subject}", "\n".join(["| rule | level | |", "|---|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def _links(rule_ids: Iterable[str]) -> str:
    return ", ".join(f"[{rule_id}]({rule_id}.md)" for rule_id in rule_ids)


if __name__ == "__main__":
    write_rule_pages(Path(sys.argv[1]))
