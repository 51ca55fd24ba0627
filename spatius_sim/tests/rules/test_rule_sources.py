"""Where the sources of a rule can be read."""

from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.rule_sources import Source, describe_sources, sources


def test_each_tag_of_a_source_is_found() -> None:
    found = sources("docs:audio, sdk-py; seed:002 (discarded) and seed:099, recording")
    assert [source.tag for source in found] == ["docs:audio", "sdk-py", "seed:002", "seed:099", "recording"]
    assert found[0] == Source(
        "docs:audio", "the page audio of the documentation", "https://docs.spatius.ai/concepts/audio"
    )
    assert found[1].address == "https://pypi.org/project/spatius/"
    assert found[2].title == "Backend Mode with your own transport"
    assert found[3].title == "seed:099"
    assert found[4].address == ""
    assert [source.tag for source in sources("docs:backend-mode/server-sdk; ours")] == [
        "docs:backend-mode/server-sdk"
    ]


def test_every_rule_that_rests_on_documents_has_a_source() -> None:
    rests_on_none = ("ASSUMED", "SAFETY")
    assert all(sources(rule.source) for rule in RULES.values() if rule.provenance not in rests_on_none)


def test_people_read_titles_in_the_place_of_tags() -> None:
    assert describe_sources("seed:002; the wait is our reading") == (
        "Backend Mode with your own transport; the wait is our reading"
    )
    assert not any("seed:" in describe_sources(rule.source) for rule in RULES.values())
