"""Reads the files in which a team declares its wire, as YAML; finds wires by name."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from yaml.nodes import Node, ScalarNode

from spatius_sim.files.yaml_file import YamlFile, read_bytes
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
)
from spatius_sim.wires.declared.declaration import Path as Place
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
_MOST_KEYS = 8
_SHIPPED = Path(__file__).resolve().parent / "wires"

_FORMS: dict[str, Form] = {
    "json": JsonForm(),
    "binary-json": JsonForm(binary=True),
    "msgpack": MessagePackForm(),
}
_CHOICES = {
    "turns": ("many", {"one": SEVERAL_TURNS}),
    "ends": ("marks", {"closing": END_MARKS}),
    "answer": ("stream", {"document": STREAMING}),
    "audio": ("pcm", {"ogg": PCM}),
    "late-motion": ("played", {"dropped": LATE_MOTION}),
}
"""The keys for what the messages do not show. Each has its usual value, and maps each other value to the
feature that the wire lacks then."""

_HTTP_METHODS = "GET|POST|PUT"
_KEYS = {"about", "form", "http", "relay", "client", "speech-ends", *_CHOICES}
_LAYOUT_FIELDS = ("last", "turn", "pcm", "payload", "payloads")
_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2}){1,64})")
_SILENCE = re.compile(r"silence ([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_LONGEST_PAUSE = 10
_LAST_FLAG = re.compile(r"last=0x([0-9a-fA-F]{2})")


def wire_names() -> list[str]:
    """Return the names of all wires that need no file of the user: built-in wires, and wires in shipped
    files."""
    return sorted({*published_wire_names(), *(path.stem for path in _SHIPPED.glob("*.yaml"))})


def find_wire(name_or_file: str) -> Wire:
    """Return the wire that a file declares if `name_or_file` ends in .yaml or .yml; otherwise the wire of
    this name. Raises UsageError if there is none, or if the file is bad."""
    if Path(name_or_file).suffix in (".yaml", ".yml"):
        return read_wire(Path(name_or_file))
    if name_or_file in published_wire_names():
        return published_wire(name_or_file)
    if name_or_file in wire_names():
        return read_wire(_SHIPPED / f"{name_or_file}.yaml")
    similar_names = suggest_names(name_or_file, wire_names())
    raise UsageError(f"no wire is named {name_or_file!r}: {similar_names} (a file's name ends in .yaml)")


def shipped_wire(name: str) -> Declared:
    """Return the wire of this name, read from the wire file that comes with the package. Raises UsageError,
    which suggests similar names, if there is no such file."""
    if not name or name not in wire_names():
        raise UsageError(f"no wire is named {name!r}: {suggest_names(name, wire_names())}")
    return read_wire(_SHIPPED / f"{name}.yaml")


@lru_cache(maxsize=16)
def wire_of(name: str, declaration: str) -> Wire:
    """Return the wire of a trace: the wire that the text `declaration` declares, or the built-in wire `name`
    if this text is empty. Raises UsageError if there is no such wire."""
    return parse_wire(declaration.encode(), f"the wire {name}", name) if declaration else published_wire(name)


def read_wire(path: Path) -> Declared:
    """Return the wire that a file declares. Raises UsageError, which names file, line and key."""
    return parse_wire(read_bytes(path), str(path), path.stem)


def parse_wire(raw: bytes, place: str, name: str) -> Declared:
    """Return the wire that this YAML declares; errors name `place` as its origin. Raises UsageError as
    `read_wire` does."""
    return Declared(name, _Reader(place).read(raw))


class _Reader(YamlFile):
    """Reads one wire file. Every method raises UsageError with place, line and key."""

    def read(self, raw: bytes) -> Declaration:
        """Return the declaration of a wire in the YAML of a wire file. Raises UsageError if a key is missing
        or a message is bad."""
        root = self.root(raw)
        if root is None:
            raise UsageError(f"{self.place}:1: the file is empty: about, relay and client are needed")
        top = self.mapping(root, "the wire", _KEYS)
        for key in ("about", "relay", "client"):
            if key not in top:
                raise self.error(root, f"{key} is missing")
        form = self._read_form(top["form"]) if "form" in top else _FORMS["json"]
        relay = self._read_messages(top["relay"], "relay", form, RELAY_MEANINGS)
        if not any({"motion", "last-motion"} & set(message.meanings) for message in relay):
            raise self.error(top["relay"], "relay: no message carries motion")
        pause = self._read_speech_pause(top["speech-ends"]) if "speech-ends" in top else 0.0
        return Declaration(
            self.text(top["about"], "about"),
            relay,
            self._read_messages(top["client"], "client", form, CLIENT_MEANINGS),
            self._read_lacks(top) | ({SPEECH_END} if pause else set()),
            self._read_http_paths(top["http"]) if "http" in top else (),
            raw.decode(errors="replace"),
            pause,
        )

    def _read_lacks(self, top: dict[str, Node]) -> frozenset[str]:
        """Return the features that a wire lacks, by the choices in its file (such as `turns: one`). Raises
        UsageError for an unknown choice."""
        lacks = set()
        for key, (usual, lacking) in _CHOICES.items():
            chosen = self.text(top[key], key) if key in top else usual
            if chosen not in (usual, *lacking):
                raise self.error(top[key], f"{key}: {chosen!r} is none of {', '.join([usual, *lacking])}")
            lacks |= {lacking[chosen]} if chosen in lacking else set()
        return frozenset(lacks)

    def _read_speech_pause(self, node: Node) -> float:
        """Read `speech-ends` of a wire file: return after how many seconds of silence the relay takes speech
        for ended. Raises UsageError for any other text."""
        text = self.text(node, "speech-ends")
        silence = _SILENCE.fullmatch(text)
        if silence is None or not 0 < float(silence[1]) <= _LONGEST_PAUSE:
            raise self.error(
                node, f"speech-ends: {text!r} is not `silence SECONDS`, at most {_LONGEST_PAUSE} seconds"
            )
        return float(silence[1])

    def _read_http_paths(self, node: Node) -> tuple[str, ...]:
        """Return the HTTP paths in a wire file, whose answers the kit searches for secrets; each has its
        method before it unless this is GET. Raises UsageError for a bad path."""
        paths = tuple(self.text(path, "http") for path in self.sequence(node, "http"))
        for path in paths:
            if not re.fullmatch(rf"((?:{_HTTP_METHODS}) )?/[\x21-\x7e]*", path):
                raise self.error(
                    node, f"http: {path!r} is not a path: it begins with /, or with a method such as POST"
                )
        return paths

    def _read_messages(
        self, node: Node, side: str, form: Form, known: Mapping[str, Meaning]
    ) -> tuple[DeclaredMessage, ...]:
        """Return the messages of one side in a wire file, `relay` or `client`; `known` are the meanings that
        they may have. Raises UsageError if there is none, or if a message is bad."""
        nodes = self.sequence(node, side)
        if not nodes:
            raise self.error(node, f"{side}: no message stands here")
        if len(nodes) > MAX_MESSAGES:
            raise self.error(node, f"{side}: more than {MAX_MESSAGES} messages")
        return tuple(self._read_message(message, side, form, known) for message in nodes)

    def _read_message(
        self, node: Node, side: str, form: Form, known: Mapping[str, Meaning]
    ) -> DeclaredMessage:
        """Read one message of a wire file, which the relay or the client (`side`) sends: its form, its
        constants, and what it may mean. `form` is the form of a message that names none; `known` are the
        possible meanings by name. Raises UsageError if the message is bad."""
        parts = self.mapping(node, f"a message of {side}", {"when", "form", "layout", *known})
        if "form" in parts and "layout" in parts:
            raise self.error(parts["layout"], "layout: a message has a form or a layout")
        if "form" in parts:
            form = self._read_form(parts["form"])
        if "layout" in parts:
            form = self._read_layout(parts["layout"])
        prefix = ("json",) if isinstance(form, Layout) else ()
        when = self._read_when(parts["when"], prefix) if "when" in parts else {}
        kinds = [kind for kind in parts if kind in known]
        if not kinds:
            raise self.error(node, f"what it means is missing: {', '.join(known)}")
        if side == "client" and len(kinds) > 1:
            raise self.error(node, f"a client's message means one thing, not {' and '.join(kinds)}")
        return DeclaredMessage(
            form, when, {kind: self._read_fields(parts[kind], kind, known[kind], form) for kind in kinds}
        )

    def _read_fields(self, node: Node, kind: str, meaning: Meaning, form: Form) -> dict[str, Place]:
        """Return where each field of a meaning stands in a message that a wire file declares. For example, a
        message that means "audio" has the field `pcm`. `form` is the form of the message, `kind` names its
        meaning. Raises UsageError if a needed field is missing, or if two fields exclude each other."""
        places: dict[str, Place] = {}
        prefix: Place = ()
        if isinstance(form, Layout):
            names = (name for name in _LAYOUT_FIELDS if name in form.value_names & meaning.fields)
            places, prefix = {name: (name,) for name in names}, ("json",)
        empty = isinstance(node, ScalarNode) and not node.value
        fields = {} if empty else self.mapping(node, kind, meaning.fields)
        for name, place in fields.items():
            if isinstance(form, Layout) and "json" not in form.value_names:
                raise self.error(place, f"{kind}.{name}: the layout has no json that it could stand in")
            places[name] = prefix + self._read_place(
                self.text(place, f"{kind}.{name}"), place, f"{kind}.{name}"
            )
        if meaning.needs_one_of and not meaning.needs_one_of & set(places):
            raise self.error(node, f"{kind}: {' or '.join(sorted(meaning.needs_one_of))} is missing")
        if {"payload", "payloads"} <= set(places):
            raise self.error(node, f"{kind}: payload or payloads, not both")
        return places

    def _read_when(self, node: Node, prefix: Place) -> dict[Place, tuple[Constant, ...]]:
        """Read `when` of a message in a wire file: return the constants by which the message is recognised,
        by their places; `prefix` is put before each place."""
        when = {}
        for key, value in self.mapping(node, "when").items():
            nodes = [value] if isinstance(value, ScalarNode) else self.sequence(value, f"when.{key}")
            if not nodes:
                raise self.error(value, f"when.{key}: no constant stands here")
            constants = tuple(self._read_constant(constant, f"when.{key}") for constant in nodes)
            when[prefix + self._read_place(key, value, f"when.{key}")] = constants
        return when

    def _read_constant(self, node: Node, key: str) -> Constant:
        """Return one constant of a wire file: an integer, true or false, or a text."""
        text = self.text(node, key)
        if node.tag == "tag:yaml.org,2002:int" and re.fullmatch(r"-?[0-9]{1,12}", text):
            return int(text)
        if node.tag == "tag:yaml.org,2002:bool" and text in ("true", "false"):
            return text == "true"
        return text

    def _read_place(self, text: str, node: Node, key: str) -> Place:
        """Read the place of a field in a wire file: a path of keys with dots between them, such as
        `avatar.rate`. Return the keys. Raises UsageError if a key is empty or there are too many."""
        place = tuple(text.split("."))
        if "" in place or len(place) > _MOST_KEYS:
            raise self.error(
                node, f"{key}: {text!r} is not a place: keys with dots between them, {_MOST_KEYS} at most"
            )
        return place

    def _read_form(self, node: Node) -> Form:
        """Return the form of messages that a wire file names, such as `json`. Raises UsageError if there is
        no form of this name."""
        text = self.text(node, "form")
        if text not in _FORMS:
            raise self.error(node, f"form: {text!r} is none of {', '.join(_FORMS)}; bytes have a layout")
        return _FORMS[text]

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
        """Read one part of a binary layout in a wire file, such as `flags` or `skip 2`. The part has a size
        of its own: no count and no length stands before it. Raises UsageError for an unknown part."""
        match words:
            case ["bytes", text] if found := _HEX.fullmatch(text):
                return Fixed(bytes.fromhex(found[1]))
            case ["flags"]:
                return Flags()
            case ["flags", text] if found := _LAST_FLAG.fullmatch(text):
                return Flags(int(found[1], 16))
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
