"""Files in which a team declares its wire, as YAML; and the wires by name."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from yaml.nodes import Node, ScalarNode

from spatius_sim.files.yaml_file import YamlFile, read_bytes
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
from spatius_sim.wires.declared.forms import (
    INTEGERS,
    Body,
    Counted,
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
from spatius_sim.wires.features import END_MARKS, PCM, SEVERAL_TURNS, STREAMING

MOST_MESSAGES = 64
_MOST_PARTS = 32
_MOST_SKIPPED = 1024
_DEEPEST = 8
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
}
"""What cannot be seen from the messages: the usual, and what lacks which feature."""

_KEYS = {"about", "form", "http", "relay", "client", *_CHOICES}
_LAYOUT_FIELDS = ("last", "turn", "pcm", "payload", "payloads")
_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2}){1,64})")
_LAST_FLAG = re.compile(r"last=0x([0-9a-fA-F]{2})")


def wire_names() -> list[str]:
    """All wires that need no file: those built in, and those that are shipped as files."""
    return sorted({*published_wire_names(), *(path.stem for path in _SHIPPED.glob("*.yaml"))})


def find_wire(wanted: str) -> Wire:
    """The wire that a file declares whose name ends in .yaml or .yml, or else the one of that name; raises
    UsageError."""
    if Path(wanted).suffix in (".yaml", ".yml"):
        return read_wire(Path(wanted))
    if wanted in published_wire_names():
        return published_wire(wanted)
    if wanted in wire_names():
        return read_wire(_SHIPPED / f"{wanted}.yaml")
    known = ", ".join(wire_names())
    raise UsageError(f"no wire is named {wanted!r}: there are {known}; a file's name ends in .yaml")


def shipped_wire(name: str) -> Declared:
    """The shipped file that declares the wire of that name; raises UsageError where there is none."""
    if not name or name not in wire_names():
        raise UsageError(f"no wire is named {name!r}: there are {', '.join(wire_names())}")
    return read_wire(_SHIPPED / f"{name}.yaml")


@lru_cache(maxsize=16)
def wire_of(name: str, declaration: str) -> Wire:
    """The wire that a trace names: the one that it carries the declaration of, or a built-in one; raises
    UsageError."""
    return parse_wire(declaration.encode(), f"the wire {name}", name) if declaration else published_wire(name)


def read_wire(path: Path) -> Declared:
    """The wire that a file declares; raises UsageError that names file, line and key."""
    return parse_wire(read_bytes(path), str(path), path.stem)


def parse_wire(raw: bytes, place: str, name: str) -> Declared:
    """The wire that this YAML declares, which comes from `place`; raises UsageError as `read_wire` does."""
    return Declared(name, _Reader(place).declaration(raw))


class _Reader(YamlFile):
    def declaration(self, raw: bytes) -> Declaration:
        root = self.root(raw)
        if root is None:
            raise UsageError(f"{self.place}:1: the file is empty: about, relay and client are needed")
        top = self.mapping(root, "the wire", _KEYS)
        for key in ("about", "relay", "client"):
            if key not in top:
                raise self.error(root, f"{key} is missing")
        form = self._form(top["form"]) if "form" in top else _FORMS["json"]
        relay = self._messages(top["relay"], "relay", form, RELAY_MEANINGS)
        if not any({"motion", "last-motion"} & set(message.meanings) for message in relay):
            raise self.error(top["relay"], "relay: no message carries motion")
        return Declaration(
            self.text(top["about"], "about"),
            relay,
            self._messages(top["client"], "client", form, CLIENT_MEANINGS),
            self._lacks(top),
            self._http(top["http"]) if "http" in top else (),
            raw.decode(errors="replace"),
        )

    def _lacks(self, top: dict[str, Node]) -> frozenset[str]:
        lacks = set()
        for key, (usual, lacking) in _CHOICES.items():
            chosen = self.text(top[key], key) if key in top else usual
            if chosen not in (usual, *lacking):
                raise self.error(top[key], f"{key}: {chosen!r} is none of {', '.join([usual, *lacking])}")
            lacks |= {lacking[chosen]} if chosen in lacking else set()
        return frozenset(lacks)

    def _http(self, node: Node) -> tuple[str, ...]:
        paths = tuple(self.text(path, "http") for path in self.sequence(node, "http"))
        for path in paths:
            if not re.fullmatch(r"/[\x21-\x7e]*", path):
                raise self.error(node, f"http: {path!r} is no path: it begins with /")
        return paths

    def _messages(
        self, node: Node, side: str, form: Form, known: Mapping[str, Meaning]
    ) -> tuple[DeclaredMessage, ...]:
        listed = self.sequence(node, side)
        if not listed:
            raise self.error(node, f"{side}: no message stands here")
        if len(listed) > MOST_MESSAGES:
            raise self.error(node, f"{side}: more than {MOST_MESSAGES} messages")
        return tuple(self._message(message, side, form, known) for message in listed)

    def _message(self, node: Node, side: str, form: Form, known: Mapping[str, Meaning]) -> DeclaredMessage:
        parts = self.mapping(node, f"a message of {side}", {"when", "form", "layout", *known})
        if "form" in parts and "layout" in parts:
            raise self.error(parts["layout"], "layout: a message has a form or a layout")
        if "form" in parts:
            form = self._form(parts["form"])
        if "layout" in parts:
            form = self._layout(parts["layout"])
        prefix = ("json",) if isinstance(form, Layout) else ()
        when = self._when(parts["when"], prefix) if "when" in parts else {}
        kinds = [kind for kind in parts if kind in known]
        if not kinds:
            raise self.error(node, f"what it means is missing: {', '.join(known)}")
        if side == "client" and len(kinds) > 1:
            raise self.error(node, f"a client's message means one thing, not {' and '.join(kinds)}")
        return DeclaredMessage(
            form, when, {kind: self._fields(parts[kind], kind, known[kind], form) for kind in kinds}
        )

    def _fields(self, node: Node, kind: str, meaning: Meaning, form: Form) -> dict[str, Place]:
        given: dict[str, Place] = {}
        prefix: Place = ()
        if isinstance(form, Layout):
            names = (name for name in _LAYOUT_FIELDS if name in form.gives & meaning.fields)
            given, prefix = {name: (name,) for name in names}, ("json",)
        empty = isinstance(node, ScalarNode) and not node.value
        fields = {} if empty else self.mapping(node, kind, meaning.fields)
        for name, place in fields.items():
            if isinstance(form, Layout) and "json" not in form.gives:
                raise self.error(place, f"{kind}.{name}: the layout has no json that it could stand in")
            given[name] = prefix + self._place(self.text(place, f"{kind}.{name}"), place, f"{kind}.{name}")
        if meaning.needs and not meaning.needs & set(given):
            raise self.error(node, f"{kind}: {' or '.join(sorted(meaning.needs))} is missing")
        if {"payload", "payloads"} <= set(given):
            raise self.error(node, f"{kind}: payload or payloads, not both")
        return given

    def _when(self, node: Node, prefix: Place) -> dict[Place, tuple[Constant, ...]]:
        when = {}
        for key, value in self.mapping(node, "when").items():
            listed = [value] if isinstance(value, ScalarNode) else self.sequence(value, f"when.{key}")
            if not listed:
                raise self.error(value, f"when.{key}: no constant stands here")
            constants = tuple(self._constant(constant, f"when.{key}") for constant in listed)
            when[prefix + self._place(key, value, f"when.{key}")] = constants
        return when

    def _constant(self, node: Node, key: str) -> Constant:
        text = self.text(node, key)
        if node.tag == "tag:yaml.org,2002:int" and re.fullmatch(r"-?[0-9]{1,12}", text):
            return int(text)
        if node.tag == "tag:yaml.org,2002:bool" and text in ("true", "false"):
            return text == "true"
        return text

    def _place(self, text: str, node: Node, key: str) -> Place:
        place = tuple(text.split("."))
        if "" in place or len(place) > _DEEPEST:
            raise self.error(
                node, f"{key}: {text!r} is no place: keys with dots between them, {_DEEPEST} at most"
            )
        return place

    def _form(self, node: Node) -> Form:
        text = self.text(node, "form")
        if text not in _FORMS:
            raise self.error(node, f"form: {text!r} is none of {', '.join(_FORMS)}; bytes have a layout")
        return _FORMS[text]

    def _layout(self, node: Node) -> Layout:
        listed = self.sequence(node, "layout")
        if not 0 < len(listed) <= _MOST_PARTS:
            raise self.error(node, f"layout: 1 to {_MOST_PARTS} parts are needed")
        parts: list[LayoutPart] = []
        count = length = ""
        for number, part in enumerate(listed, 1):
            words = self.text(part, "layout").split()
            match words:
                case ["count", integer] if integer in INTEGERS and not count:
                    count = integer
                case ["length", integer] if integer in INTEGERS and not length:
                    length = integer
                case ["payload"] if count and length and number == len(listed):
                    parts.append(Counted(count, length))
                    count = length = ""
                case ["pcm" | "payload" | "json" as name] if not count and (length or number == len(listed)):
                    parts.append(Body(name, length))
                    length = ""
                case _ if count or length:
                    raise self.error(
                        part, f"layout: {' '.join(words)!r} cannot stand behind a count or a length"
                    )
                case _:
                    parts.append(self._part(part, words))
        if count or length:
            raise self.error(node, "layout: a count or a length is last: what it counts is missing")
        names = [part.name for part in parts if isinstance(part, Body)]
        if len(names) != len(set(names)):
            raise self.error(node, "layout: a body stands here twice")
        return Layout(tuple(parts))

    def _part(self, node: Node, words: list[str]) -> LayoutPart:
        match words:
            case ["bytes", text] if found := _HEX.fullmatch(text):
                return Fixed(bytes.fromhex(found[1]))
            case ["flags"]:
                return Flags()
            case ["flags", text] if found := _LAST_FLAG.fullmatch(text):
                return Flags(int(found[1], 16))
            case ["skip", text] if text.isdecimal() and len(text) <= 4 and 0 < int(text) <= _MOST_SKIPPED:
                return Skip(int(text))
            case ["turn", integer] if integer in INTEGERS:
                return TurnNumber(integer)
            case ["pcm" | "payload" | "json" as name]:
                raise self.error(node, f"layout: {name} without a length takes all that is left: put it last")
        raise self.error(
            node,
            f"layout: {' '.join(words)!r} is none of: bytes 0x.., flags, flags last=0x.., skip N, turn INT, "
            f"count INT, length INT, pcm, payload, json (INT: {', '.join(INTEGERS)})",
        )
