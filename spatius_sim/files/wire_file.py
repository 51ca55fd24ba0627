"""Reads the files in which a team declares its wire, as YAML; finds wires by name."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from yaml.nodes import Node, ScalarNode

from spatius_sim.files.yaml_file import YamlFile, read_yaml_bytes
from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.wires import Wire, published_wire, published_wire_names
from spatius_sim.wires.declared.declaration import (
    CLIENT_MEANINGS,
    RELAY_MEANINGS,
    Constant,
    Declaration,
    DeclaredMessage,
    Meaning,
    Place,
)
from spatius_sim.wires.declared.message_forms import (
    INTEGER_TYPES,
    Body,
    CountedPayloads,
    Fixed,
    Flags,
    Form,
    JsonForm,
    Layout,
    LayoutPart,
    MessagePackForm,
    Skip,
    TurnNumber,
)
from spatius_sim.wires.declared.wire import Declared
from spatius_sim.wires.optional_features import (
    END_MARKS,
    LATE_MOTION,
    PCM,
    SEVERAL_TURNS,
    SPEECH_END,
    STREAMING,
)

MAX_MESSAGES = 64
_MAX_PARTS = 32
_MAX_SKIPPED = 1024
_MAX_KEYS_IN_PLACE = 8
_SHIPPED_FOLDER = Path(__file__).resolve().parent / "wires"

_FORM_BY_NAME: dict[str, Form] = {
    "json": JsonForm(),
    "binary-json": JsonForm(binary=True),
    "msgpack": MessagePackForm(),
}
_CHOICE_BY_KEY = {
    "turns": ("many", {"one": SEVERAL_TURNS}),
    "ends": ("marks", {"closing": END_MARKS}),
    "answer": ("stream", {"document": STREAMING}),
    "audio": ("pcm", {"ogg": PCM}),
    "late-motion": ("played", {"dropped": LATE_MOTION}),
}
"""The keys for what the messages do not show. Each has its usual value, and maps each other value to the
feature that the wire lacks then."""

_HTTP_METHODS = "GET|POST|PUT"
_KEYS = {"about", "form", "http", "relay", "client", "speech-ends", *_CHOICE_BY_KEY}
_LAYOUT_FIELDS = ("last", "turn", "pcm", "payload", "payloads")
_HEX_PATTERN = re.compile(r"0x((?:[0-9a-fA-F]{2}){1,64})")
_SILENCE_PATTERN = re.compile(r"silence ([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_MAX_PAUSE_SECONDS = 10
_LAST_FLAG_PATTERN = re.compile(r"last=0x([0-9a-fA-F]{2})")


def wire_names() -> list[str]:
    """Return the names of all wires that need no file of the user: each has a file in this package, and some
    are also built in (written in Python)."""
    return sorted({*published_wire_names(), *(path.stem for path in _SHIPPED_FOLDER.glob("*.yaml"))})


def find_wire(name_or_path: str) -> Wire:
    """Return the wire, that is the message format between a relay and its clients, with this name. If
    `name_or_path` ends in .yaml or .yml, return the wire that this file declares. Raises UsageError if no
    wire has this name, or if the file is bad."""
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return read_wire(Path(name_or_path))
    if name_or_path in published_wire_names():
        return published_wire(name_or_path)
    if name_or_path in wire_names():
        return read_wire(_SHIPPED_FOLDER / f"{name_or_path}.yaml")
    similar_names = suggest_names(name_or_path, wire_names())
    raise UsageError(f"no wire is named {name_or_path!r}: {similar_names} (a file's name ends in .yaml)")


def read_shipped_wire(name: str) -> Declared:
    """Return the wire with this name, read from its YAML file in this package, even if it is also built in. A
    wire is the message format between a relay and its clients. Raises UsageError, with similar names, if the
    package has no wire of this name."""
    if not name or name not in wire_names():
        raise UsageError(f"no wire is named {name!r}: {suggest_names(name, wire_names())}")
    return read_wire(_SHIPPED_FOLDER / f"{name}.yaml")


@lru_cache(maxsize=16)
def wire_of(name: str, declaration: str) -> Wire:
    """Return the wire of a trace: the wire that the text `declaration` declares, or the built-in wire `name`
    if this text is empty. Raises UsageError if there is no such wire."""
    return parse_wire(declaration.encode(), f"the wire {name}", name) if declaration else published_wire(name)


def read_wire(path: Path) -> Declared:
    """Return the wire that a file declares. Raises UsageError, which names file, line and key."""
    return parse_wire(read_yaml_bytes(path), str(path), path.stem)


def parse_wire(raw: bytes, place: str, name: str) -> Declared:
    """Return the wire that this YAML declares; errors name `place` as its origin. Raises UsageError as
    `read_wire` does."""
    return Declared(name, _Reader(place).read_declaration(raw))


class _Reader(YamlFile):
    """Reads one wire file. Every method raises UsageError with place, line and key."""

    def read_declaration(self, raw: bytes) -> Declaration:
        """Return what the YAML of a wire file declares: the messages between a relay and its clients. Raises
        UsageError if the file is empty, if a key is missing, if a message is bad, or if no message carries
        motion."""
        root = self.parse_root(raw)
        if root is None:
            raise UsageError(f"{self.place}:1: the file is empty: about, relay and client are needed")
        nodes = self.mapping(root, "the wire", _KEYS)
        for key in ("about", "relay", "client"):
            if key not in nodes:
                raise self.error(root, f"{key} is missing")
        default_form = self._read_form(nodes["form"]) if "form" in nodes else _FORM_BY_NAME["json"]
        relay_messages = self._read_messages(nodes["relay"], "relay", default_form, RELAY_MEANINGS)
        if not any({"motion", "last-motion"} & set(message.meanings) for message in relay_messages):
            raise self.error(nodes["relay"], "relay: no message carries motion")
        pause_seconds = self._read_speech_pause(nodes["speech-ends"]) if "speech-ends" in nodes else 0.0
        return Declaration(
            self.text(nodes["about"], "about"),
            relay_messages,
            self._read_messages(nodes["client"], "client", default_form, CLIENT_MEANINGS),
            self._read_lacking_features(nodes) | ({SPEECH_END} if pause_seconds else set()),
            self._read_http_paths(nodes["http"]) if "http" in nodes else (),
            raw.decode(errors="replace"),
            pause_seconds,
        )

    def _read_lacking_features(self, nodes_by_key: dict[str, Node]) -> frozenset[str]:
        """Return the features that a wire lacks, by the choices in its file. For example, `turns: one` means
        that several turns are not possible. A choice that is not in the file has its usual value. Raises
        UsageError for an unknown value."""
        lacking_features = set()
        for key, (usual_value, feature_by_value) in _CHOICE_BY_KEY.items():
            chosen_value = self.text(nodes_by_key[key], key) if key in nodes_by_key else usual_value
            possible_values = [usual_value, *feature_by_value]
            if chosen_value not in possible_values:
                raise self.error(
                    nodes_by_key[key], f"{key}: {chosen_value!r} is none of {', '.join(possible_values)}"
                )
            if chosen_value in feature_by_value:
                lacking_features.add(feature_by_value[chosen_value])
        return frozenset(lacking_features)

    def _read_speech_pause(self, node: Node) -> float:
        """Return the SECONDS of `speech-ends: silence SECONDS` in a wire file. A client's speech has ended
        when it was silent for so long. Raises UsageError for any other text, or if SECONDS is 0 or too
        large."""
        text = self.text(node, "speech-ends")
        match = _SILENCE_PATTERN.fullmatch(text)
        if match is None or not 0 < float(match[1]) <= _MAX_PAUSE_SECONDS:
            raise self.error(
                node, f"speech-ends: {text!r} is not `silence SECONDS`, at most {_MAX_PAUSE_SECONDS} seconds"
            )
        return float(match[1])

    def _read_http_paths(self, node: Node) -> tuple[str, ...]:
        """Return the HTTP paths that a wire file lists under `http`; the answers on them are searched for
        secrets. A path may begin with its method, such as `POST /start`; without one, it is GET. Raises
        UsageError for a bad path."""
        paths = tuple(self.text(path, "http") for path in self.sequence(node, "http"))
        for path in paths:
            if not re.fullmatch(rf"((?:{_HTTP_METHODS}) )?/[\x21-\x7e]*", path):
                raise self.error(
                    node, f"http: {path!r} is not a path: it begins with /, or with a method such as POST"
                )
        return paths

    def _read_messages(
        self, node: Node, side: str, default_form: Form, meaning_by_name: Mapping[str, Meaning]
    ) -> tuple[DeclaredMessage, ...]:
        """Return the messages that one side, `relay` or `client`, sends, as a wire file declares them.
        `default_form` is the form (encoding) of a message that names none. `meaning_by_name` has the possible
        meanings: what a message can carry or say, such as audio. Raises UsageError if there are no messages
        or too many, or if one is bad."""
        message_nodes = self.sequence(node, side)
        if not message_nodes:
            raise self.error(node, f"{side}: no message stands here")
        if len(message_nodes) > MAX_MESSAGES:
            raise self.error(node, f"{side}: more than {MAX_MESSAGES} messages")
        return tuple(
            self._read_message(message, side, default_form, meaning_by_name) for message in message_nodes
        )

    def _read_message(
        self, node: Node, side: str, default_form: Form, meaning_by_name: Mapping[str, Meaning]
    ) -> DeclaredMessage:
        """Return a message of a wire file: its form (encoding), the constants by which it is recognised, and
        the places of the fields of its meanings (what it carries or says, such as audio). `side` sends it:
        `relay` or `client`. `default_form` is for a message that names none. `meaning_by_name` has all
        possible meanings. Raises UsageError if the message is bad."""
        nodes = self.mapping(node, f"a message of {side}", {"when", "form", "layout", *meaning_by_name})
        if "form" in nodes and "layout" in nodes:
            raise self.error(nodes["layout"], "layout: a message has a form or a layout")
        form = default_form
        if "form" in nodes:
            form = self._read_form(nodes["form"])
        if "layout" in nodes:
            form = self._read_layout(nodes["layout"])
        prefix = ("json",) if isinstance(form, Layout) else ()
        constants = self._read_constants(nodes["when"], prefix) if "when" in nodes else {}
        names = [name for name in nodes if name in meaning_by_name]
        if not names:
            raise self.error(node, f"what it means is missing: {', '.join(meaning_by_name)}")
        if side == "client" and len(names) > 1:
            raise self.error(node, f"a client's message means one thing, not {' and '.join(names)}")
        places = {
            name: self._read_field_places(nodes[name], name, meaning_by_name[name], form) for name in names
        }
        return DeclaredMessage(form, constants, places)

    def _read_field_places(
        self, node: Node, meaning_name: str, meaning: Meaning, form: Form
    ) -> dict[str, Place]:
        """Return the place of each field of a meaning in a message of a wire file. For example, the meaning
        `audio` has the field `pcm`. `form` is the form (encoding) of the message. Raises UsageError if a
        needed field is missing, if two fields exclude each other, or if a binary layout has no JSON part in
        which a field could be."""
        place_by_field: dict[str, Place] = {}
        prefix: Place = ()
        if isinstance(form, Layout):
            in_layout = form.value_names & meaning.fields
            place_by_field = {field: (field,) for field in _LAYOUT_FIELDS if field in in_layout}
            prefix = ("json",)
        is_empty = isinstance(node, ScalarNode) and not node.value
        nodes_by_field = {} if is_empty else self.mapping(node, meaning_name, meaning.fields)
        for field, place_node in nodes_by_field.items():
            key = f"{meaning_name}.{field}"
            if isinstance(form, Layout) and "json" not in form.value_names:
                raise self.error(place_node, f"{key}: the layout has no json that it could stand in")
            place_by_field[field] = prefix + self._read_place(self.text(place_node, key), place_node, key)
        if meaning.needs_one_of and not meaning.needs_one_of & set(place_by_field):
            raise self.error(node, f"{meaning_name}: {' or '.join(sorted(meaning.needs_one_of))} is missing")
        if {"payload", "payloads"} <= set(place_by_field):
            raise self.error(node, f"{meaning_name}: payload or payloads, not both")
        return place_by_field

    def _read_constants(self, node: Node, prefix: Place) -> dict[Place, tuple[Constant, ...]]:
        """Return the constants under `when` of a message in a wire file, by their places in the message. The
        message is recognised by them: each place must hold one of its constants. `prefix` is put before each
        place. Raises UsageError if a place has no constant."""
        constants_by_place = {}
        for place_text, value_node in self.mapping(node, "when").items():
            constant_nodes = (
                [value_node]
                if isinstance(value_node, ScalarNode)
                else self.sequence(value_node, f"when.{place_text}")
            )
            if not constant_nodes:
                raise self.error(value_node, f"when.{place_text}: no constant stands here")
            constants = tuple(
                self._read_constant(constant, f"when.{place_text}") for constant in constant_nodes
            )
            constants_by_place[prefix + self._read_place(place_text, value_node, f"when.{place_text}")] = (
                constants
            )
        return constants_by_place

    def _read_constant(self, node: Node, key: str) -> Constant:
        """Return a constant of a wire file: an int for a whole number, a bool for `true` or `false`,
        otherwise the text as it is written. `key` names the constant in errors."""
        text = self.text(node, key)
        if node.tag == "tag:yaml.org,2002:int" and re.fullmatch(r"-?[0-9]{1,12}", text):
            return int(text)
        if node.tag == "tag:yaml.org,2002:bool" and text in ("true", "false"):
            return text == "true"
        return text

    def _read_place(self, text: str, node: Node, key: str) -> Place:
        """Return the place of a field in a message, as its keys: a wire file writes the keys with dots
        between them, such as `avatar.rate`. `key` names the place in errors. Raises UsageError if a key is
        empty, or if there are too many keys."""
        keys = tuple(text.split("."))
        if "" in keys or len(keys) > _MAX_KEYS_IN_PLACE:
            raise self.error(
                node,
                f"{key}: {text!r} is not a place: keys with dots between them, {_MAX_KEYS_IN_PLACE} at most",
            )
        return keys

    def _read_form(self, node: Node) -> Form:
        """Return the form (encoding) of messages that a node of a wire file names, such as `json` or
        `msgpack`. Raises UsageError if no form has this name; binary frames of another kind have a `layout`
        in place of a form."""
        form_name = self.text(node, "form")
        if form_name not in _FORM_BY_NAME:
            raise self.error(
                node, f"form: {form_name!r} is none of {', '.join(_FORM_BY_NAME)}; bytes have a layout"
            )
        return _FORM_BY_NAME[form_name]

    def _read_layout(self, node: Node) -> Layout:
        """Return the layout of a binary frame that a wire file declares: its parts, in order. Raises
        UsageError if the parts do not go together."""
        nodes = self.sequence(node, "layout")
        if not 0 < len(nodes) <= _MAX_PARTS:
            raise self.error(node, f"layout: 1 to {_MAX_PARTS} parts are needed")
        parts: list[LayoutPart] = []
        count = length = ""
        for number, part in enumerate(nodes, 1):
            words = self.text(part, "layout").split()
            match words:
                case ["count", integer] if integer in INTEGER_TYPES and not count:
                    count = integer
                case ["length", integer] if integer in INTEGER_TYPES and not length:
                    length = integer
                case ["payload"] if count and length and number == len(nodes):
                    parts.append(CountedPayloads(count, length))
                    count = length = ""
                case ["pcm" | "payload" | "json" as name] if not count and (length or number == len(nodes)):
                    parts.append(Body(name, length))
                    length = ""
                case _ if count or length:
                    raise self.error(
                        part, f"layout: {' '.join(words)!r} cannot stand after a count or a length"
                    )
                case _:
                    parts.append(self._read_part(part, words))
        if count or length:
            raise self.error(node, "layout: a count or a length is last: what it counts is missing")
        names = [part.name for part in parts if isinstance(part, Body)]
        if len(names) != len(set(names)):
            raise self.error(node, "layout: a body stands here twice")
        return Layout(tuple(parts))

    def _read_part(self, node: Node, words: list[str]) -> LayoutPart:
        """Return the part of a binary layout that these words of a wire file describe, such as `flags` or
        `skip 2`. Raises UsageError, with the line of the node, for any other words. Also raises it for `pcm`,
        `payload` or `json`: without a length before them, they must come last."""
        match words:
            case ["bytes", text] if match_of_text := _HEX_PATTERN.fullmatch(text):
                return Fixed(bytes.fromhex(match_of_text[1]))
            case ["flags"]:
                return Flags()
            case ["flags", text] if match_of_text := _LAST_FLAG_PATTERN.fullmatch(text):
                return Flags(int(match_of_text[1], 16))
            case ["skip", text] if text.isdecimal() and len(text) <= 4 and 0 < int(text) <= _MAX_SKIPPED:
                return Skip(int(text))
            case ["turn", integer] if integer in INTEGER_TYPES:
                return TurnNumber(integer)
            case ["pcm" | "payload" | "json" as name]:
                raise self.error(node, f"layout: {name} without a length takes all that is left: put it last")
        raise self.error(
            node,
            f"layout: {' '.join(words)!r} is none of: bytes 0x.., flags, flags last=0x.., skip N, turn INT, "
            f"count INT, length INT, pcm, payload, json (INT: {', '.join(INTEGER_TYPES)})",
        )
