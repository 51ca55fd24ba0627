"""Lets `--target` mean `--spatius-target`, and so on for our other options, unless another plugin owns
`--target`.

Only the long names are registered: if two plugins registered one name, pytest would not run. The short names
are replaced after every plugin and every conftest.py has registered its options, if pytest does not know them
then. Nothing heavy is imported: pytest loads this in every project that has us installed.
"""

import os
import sys
from collections.abc import Iterable, Iterator

import pytest

from spatius_sim.engine.option_table import JUDGE_OPTIONS

_LONG = {f"--{name}": f"--spatius-{name}" for name in (*(option.name for option in JUDGE_OPTIONS), "tape")}
_HIDDEN = "--spatius-hidden"
"""An option that nobody has, put in the place of one of ours. It has no value, because pytest takes an
argument with a space in it for no option."""
_PARSED: "pytest.StashKey[tuple[pytest.Parser, list[str]]]" = pytest.StashKey()


def understand_short_names(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> None:
    """Replace in the arguments of pytest each short name that no other plugin owns by the long name of our
    option. Call this when pytest has loaded the conftest.py files; files that pytest missed are loaded,
    too."""
    config.stash[_PARSED] = (parser, arguments)
    typed = list(arguments)
    arguments[:] = _with_long_names(parser, typed)
    if arguments != typed:
        _load_missed_conftests(config, parser, arguments)
        arguments[:] = _with_long_names(parser, typed)


def owned_by_others(config: pytest.Config, names: Iterable[str]) -> frozenset[str]:
    """Return those of these option names that another plugin owns: `--target`, for example, typed without
    `spatius-`, then means that plugin's option. If pytest has not parsed its command line in this run, return
    all names."""
    if _PARSED not in config.stash:
        return frozenset(names)
    parser, arguments = config.stash[_PARSED]
    return frozenset(name for name in names if _parser_knows(parser, f"--{name}", arguments))


def _with_long_names(parser: pytest.Parser, arguments: Iterable[str]) -> list[str]:
    """Return the arguments with each short name that the parser does not know replaced by the long name of
    our option. Arguments that are wrong stay as they are, and pytest says why."""
    plain_arguments = [os.fspath(argument) for argument in arguments]
    try:
        words = list(_expand_files(plain_arguments))
        indexes = _indexes_of_short_names(parser, words)
    except (OSError, pytest.UsageError):
        return plain_arguments
    for index in indexes:
        name, equals, value = words[index].partition("=")
        words[index] = f"{_LONG[name]}{equals}{value}"
    return words if indexes else plain_arguments


def _indexes_of_short_names(parser: pytest.Parser, words: list[str]) -> list[int]:
    """Return the indexes of those words that are short names of our options, such as `--target`: no other
    plugin owns the name, and the word is not the value of another option. To find out, a sign replaces each
    short name, and pytest's parser says which signs it does not know."""
    options = words[: words.index("--")] if "--" in words else words
    names = [_option_name(word) for word in options]
    short_names = {
        name
        for name in _LONG.keys() & set(names)
        if not _parser_knows(
            parser, name, [_HIDDEN if _option_name(word) == name else word for word in words]
        )
    }
    signs = {f"{_HIDDEN}-{index}": index for index, name in enumerate(names) if name in short_names}
    words_with_signs = list(words)
    for sign, index in signs.items():
        words_with_signs[index] = sign
    unknown = parser.parse_known_and_unknown_args(words_with_signs)[1] if signs else []
    return [signs[word] for word in unknown if word in signs]


def _option_name(argument: str) -> str:
    """Return the name in `--NAME=VALUE`."""
    return argument.partition("=")[0]


def _parser_knows(parser: pytest.Parser, option: str, arguments: Iterable[str]) -> bool:
    """Return whether another plugin owns this short option name: whether the parser of pytest knows the
    option, if it stands before these arguments."""
    try:
        return option not in parser.parse_known_and_unknown_args([option, *arguments])[1]
    except pytest.UsageError:  # The option is known, and its value is missing or wrong.
        return True


def _expand_files(arguments: Iterable[str]) -> Iterator[str]:
    """Yield the arguments of pytest in which short names of options are looked for. An argument `@FILE` is
    replaced by the lines of this file, as pytest's parser does. Raises OSError if a file cannot be read."""
    for argument in arguments:
        if argument.startswith("@"):
            encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
            with open(argument[1:], encoding=encoding, errors=errors) as file:
                yield from _expand_files(file.read().splitlines())
        else:
            yield argument


def _load_missed_conftests(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> None:
    """Load the conftest.py files that pytest has missed because it did not know a short option name: in
    `--baseline FILE` pytest took FILE for the path of tests, and looked for conftest.py there."""
    test_paths = parser.parse_known_args(arguments).file_or_dir
    if test_paths != config.known_args_namespace.file_or_dir:
        config.known_args_namespace.file_or_dir = test_paths
        other_plugins = [plugin for plugin in config.pluginmanager.get_plugins() if plugin is not config]
        pytest_alone = config.pluginmanager.subset_hook_caller("pytest_load_initial_conftests", other_plugins)
        pytest_alone(early_config=config, parser=parser, args=arguments)
