"""The short names of our options: `--target` means `--spatius-target`, unless somebody else owns `--target`.

Only the long names are registered, for two owners of one name end every run. A short name is understood when
every plugin and every conftest.py has registered its options: what pytest does not know even then is renamed.
Nothing heavy is imported: pytest loads this in every project that has us installed.
"""

import os
import sys
from collections.abc import Iterable, Iterator

import pytest

from spatius_sim.engine.options import JUDGE_OPTIONS

_LONG = {f"--{name}": f"--spatius-{name}" for name in (*(option.name for option in JUDGE_OPTIONS), "tape")}
_HIDDEN = "--spatius-hidden"
"""An option that nobody has, and no more than a word: a value with a space in it would be none to pytest."""
_PARSED: "pytest.StashKey[tuple[pytest.Parser, list[str]]]" = pytest.StashKey()


def understand_short_names(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> None:
    """Rename, in place, what nobody owns. To be called when pytest has loaded the conftest.py files."""
    config.stash[_PARSED] = (parser, arguments)
    typed = list(arguments)
    arguments[:] = _with_long_names(parser, typed)
    if arguments != typed:
        _load_conftests_beside(config, parser, arguments)
        arguments[:] = _with_long_names(parser, typed)


def owned_by_others(config: pytest.Config, names: Iterable[str]) -> frozenset[str]:
    """Those of these options of ours whose short name means something else in this run, or nothing."""
    if _PARSED not in config.stash:
        return frozenset(names)
    parser, arguments = config.stash[_PARSED]
    return frozenset(name for name in names if _parser_knows(parser, f"--{name}", arguments))


def _with_long_names(parser: pytest.Parser, arguments: Iterable[str]) -> list[str]:
    """The arguments, in which each short name that the parser does not know is replaced by our long one.
    Arguments that are wrong stay as they are: pytest says why."""
    plain = [os.fspath(argument) for argument in arguments]
    try:
        words = list(_without_files(plain))
        found = _short_names(parser, words)
    except (OSError, pytest.UsageError):
        return plain
    for place in found:
        name, equals, value = words[place].partition("=")
        words[place] = f"{_LONG[name]}{equals}{value}"
    return words if found else plain


def _short_names(parser: pytest.Parser, words: list[str]) -> list[int]:
    """The places of those that nobody owns, and that no other option has swallowed as a part of its value."""
    options = words[: words.index("--")] if "--" in words else words
    names = [_long_name(word) for word in options]
    ours = {
        name
        for name in _LONG.keys() & set(names)
        if not _parser_knows(parser, name, [_HIDDEN if _long_name(word) == name else word for word in words])
    }
    signs = {f"{_HIDDEN}-{place}": place for place, name in enumerate(names) if name in ours}
    hidden = list(words)
    for sign, place in signs.items():
        hidden[place] = sign
    unknown = parser.parse_known_and_unknown_args(hidden)[1] if signs else []
    return [signs[word] for word in unknown if word in signs]


def _long_name(argument: str) -> str:
    return argument.partition("=")[0]


def _parser_knows(parser: pytest.Parser, option: str, arguments: Iterable[str]) -> bool:
    try:
        return option not in parser.parse_known_and_unknown_args([option, *arguments])[1]
    except pytest.UsageError:  # It wants a value.
        return True


def _without_files(arguments: Iterable[str]) -> Iterator[str]:
    """The arguments; `@FILE` is replaced by its lines, as pytest's parser does it."""
    for argument in arguments:
        if argument.startswith("@"):
            encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
            with open(argument[1:], encoding=encoding, errors=errors) as file:
                yield from _without_files(file.read().splitlines())
        else:
            yield argument


def _load_conftests_beside(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> None:
    """Load those that pytest missed, if it took a value, as in `--baseline FILE`, for the place of tests."""
    places = parser.parse_known_args(arguments).file_or_dir
    if places != config.known_args_namespace.file_or_dir:
        config.known_args_namespace.file_or_dir = places
        others = [plugin for plugin in config.pluginmanager.get_plugins() if plugin is not config]
        pytest_alone = config.pluginmanager.subset_hook_caller("pytest_load_initial_conftests", others)
        pytest_alone(early_config=config, parser=parser, args=arguments)
