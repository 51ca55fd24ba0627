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

_LONG_NAME_BY_SHORT_NAME = {
    f"--{name}": f"--spatius-{name}" for name in (*(option.name for option in JUDGE_OPTIONS), "tape")
}
_UNKNOWN_OPTION = "--spatius-hidden"
"""An option that nobody has, put in the place of one of ours. It has no value, because pytest takes an
argument with a space in it for no option."""
_PARSER_AND_ARGUMENTS: "pytest.StashKey[tuple[pytest.Parser, list[str]]]" = pytest.StashKey()


def replace_short_names(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> None:
    """Replace the short names of our options in the arguments of pytest by their long names, except names
    that another plugin owns. Call this when pytest has loaded the conftest.py files. If pytest missed some of
    these files because of a short name, they are loaded here."""
    config.stash[_PARSER_AND_ARGUMENTS] = (parser, arguments)
    typed_arguments = list(arguments)
    arguments[:] = _replace_by_long_names(parser, typed_arguments)
    if arguments != typed_arguments:
        _load_missed_conftests(config, parser, arguments)
        arguments[:] = _replace_by_long_names(parser, typed_arguments)


def find_names_owned_by_others(config: pytest.Config, names: Iterable[str]) -> frozenset[str]:
    """Return those of these option names that another plugin owns: typed without `spatius-`, such a name
    means that plugin's option. If pytest has not parsed its command line in this run, return all names."""
    if _PARSER_AND_ARGUMENTS not in config.stash:
        return frozenset(names)
    parser, arguments = config.stash[_PARSER_AND_ARGUMENTS]
    return frozenset(name for name in names if _is_known_to_parser(parser, f"--{name}", arguments))


def _replace_by_long_names(parser: pytest.Parser, arguments: Iterable[str]) -> list[str]:
    """Return the arguments with the long name of our option in place of each short name that the parser does
    not know. If the arguments are wrong, return them as they are: pytest will say what is wrong."""
    plain_arguments = [os.fspath(argument) for argument in arguments]
    try:
        words = list(_expand_argument_files(plain_arguments))
        indexes = _find_indexes_of_short_names(parser, words)
    except (OSError, pytest.UsageError):
        return plain_arguments
    for index in indexes:
        name, equals, value = words[index].partition("=")
        words[index] = f"{_LONG_NAME_BY_SHORT_NAME[name]}{equals}{value}"
    return words if indexes else plain_arguments


def _find_indexes_of_short_names(parser: pytest.Parser, words: list[str]) -> list[int]:
    """Return the indexes of those words that are short names of our options, such as `--target`. If another
    plugin owns the name, or if the word is the value of another option, the word does not count. To find out,
    a placeholder replaces each short name: if pytest's parser takes it for an unknown option, the word was
    not the value of another option."""
    words_before_dashes = words[: words.index("--")] if "--" in words else words
    names = [_option_name(word) for word in words_before_dashes]
    short_names = {
        name
        for name in _LONG_NAME_BY_SHORT_NAME.keys() & set(names)
        if not _is_known_to_parser(
            parser, name, [_UNKNOWN_OPTION if _option_name(word) == name else word for word in words]
        )
    }
    index_by_placeholder = {
        f"{_UNKNOWN_OPTION}-{index}": index for index, name in enumerate(names) if name in short_names
    }
    words_with_placeholders = list(words)
    for placeholder, index in index_by_placeholder.items():
        words_with_placeholders[index] = placeholder
    if not index_by_placeholder:
        return []
    _, unknown_words = parser.parse_known_and_unknown_args(words_with_placeholders)
    return [index_by_placeholder[word] for word in unknown_words if word in index_by_placeholder]


def _option_name(argument: str) -> str:
    """Return the name in `--NAME=VALUE`."""
    return argument.partition("=")[0]


def _is_known_to_parser(parser: pytest.Parser, option: str, arguments: Iterable[str]) -> bool:
    """Return whether another plugin owns this option name: whether pytest's parser knows the option, if it is
    typed before these arguments."""
    try:
        return option not in parser.parse_known_and_unknown_args([option, *arguments])[1]
    except pytest.UsageError:  # The option is known, and its value is missing or wrong.
        return True


def _expand_argument_files(arguments: Iterable[str]) -> Iterator[str]:
    """Yield the arguments of pytest, with the lines of the file FILE in place of an argument `@FILE`, as
    pytest's parser reads them. Raises OSError if a file cannot be read."""
    for argument in arguments:
        if argument.startswith("@"):
            encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
            with open(argument[1:], encoding=encoding, errors=errors) as file:
                yield from _expand_argument_files(file.read().splitlines())
        else:
            yield argument


def _load_missed_conftests(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> None:
    """Load the conftest.py files that pytest has missed because it did not know a short option name. In
    `--baseline FILE`, for example, pytest took FILE for the path of tests, and looked for conftest.py
    there."""
    test_paths = parser.parse_known_args(arguments).file_or_dir
    if test_paths != config.known_args_namespace.file_or_dir:
        config.known_args_namespace.file_or_dir = test_paths
        other_plugins = [plugin for plugin in config.pluginmanager.get_plugins() if plugin is not config]
        load_conftests_by_pytest = config.pluginmanager.subset_hook_caller(
            "pytest_load_initial_conftests", other_plugins
        )
        load_conftests_by_pytest(early_config=config, parser=parser, args=arguments)
