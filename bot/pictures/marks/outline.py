"""Outline: the positions of the properties in an XMP packet, found by a parser that is safe.

Positions let a packet be changed byte for byte, whatever prefixes and forms its writer has used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from bot.errors import EaselError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
ROOT, DESCRIPTION, ABOUT = f"{RDF} RDF", f"{RDF} Description", f"{RDF} about"
PROPERTY_DEPTH = 2  # below rdf:RDF, in rdf:Description
TAG = re.compile(rb"<(?:[^\"'>]|\"[^\"]*\"|'[^']*')*+>")
NAME = re.compile(rb"<[^\s/>]++")
ATTRIBUTE = re.compile(rb"\s++([^\s=]++)\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+')")

Span = tuple[int, int]


class Unreadable(EaselError):
    """The packet is not XMP that a reader could use, or has a document type."""


@dataclass(slots=True)
class Property:
    """A property with its text, and its place: an element, or an attribute with the space before.

    The name is "namespace local".
    """

    name: str
    span: Span
    text: str = ""


@dataclass(slots=True)
class Node:
    """A top-level rdf:Description. `about` is the resource that the properties are of."""

    start: int
    end: int = 0
    about: str = ""
    properties: list[Property] = field(default_factory=list)


@dataclass(slots=True)
class Outline:
    """`end` is the place of the end tag of rdf:RDF."""

    nodes: list[Node] = field(default_factory=list)
    end: int = 0

    def properties(self) -> Iterator[Property]:
        for node in self.nodes:
            yield from node.properties


def outline_of(packet: bytes) -> Outline:
    """Parse a packet in UTF-8. Raises Unreadable.

    A document type is refused, and with it every entity: XMP has none.
    """
    reader = _Reader(packet)
    try:
        reader.parser.Parse(packet, True)
    except (expat.ExpatError, UnicodeError, ValueError) as error:
        raise Unreadable(str(error)) from None
    if not reader.outline.end:
        raise Unreadable("no rdf:RDF")
    return reader.outline


class _Reader:
    """The handlers of one parse, with the depth of the present element."""

    def __init__(self, packet: bytes) -> None:
        self.outline = Outline()
        self._packet = packet
        self._depth = 0
        self._root = 0  # the depth of rdf:RDF, once that has begun
        self._root_start = 0
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.ordered_attributes = True
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse

    @property
    def _level(self) -> int:
        """The depth below rdf:RDF; 0 outside, and in rdf:RDF itself."""
        is_inside = self._root and not self.outline.end
        return self._depth - self._root if is_inside else 0

    def _refuse(self, *_: object) -> None:
        raise Unreadable("a document type")

    def _start(self, name: str, attributes: list[str]) -> None:
        self._depth += 1
        at = self.parser.CurrentByteIndex
        if name == ROOT and not self._root:
            self._root, self._root_start = self._depth, at
        elif self._level == 1:
            if name != DESCRIPTION:
                raise Unreadable("rdf:RDF with other nodes than rdf:Description")
            node = Node(at)
            self.outline.nodes.append(node)
            for each in self._attributes(at, attributes):
                if each.name == ABOUT:
                    node.about = each.text
                else:
                    node.properties.append(each)
        elif self._level == PROPERTY_DEPTH:
            self.outline.nodes[-1].properties.append(Property(name, (at, at)))

    def _end(self, _: str) -> None:
        at = self.parser.CurrentByteIndex
        if self._depth == self._root and not self.outline.end:
            if self._tag(self._root_start).endswith(b"/>"):
                raise Unreadable("an rdf:RDF without an end tag")
            self.outline.end = at
        elif self._level == 1:
            node = self.outline.nodes[-1]
            node.end = self._end_of(node.start, at)
        elif self._level == PROPERTY_DEPTH:
            found = self.outline.nodes[-1].properties[-1]
            found.span = (found.span[0], self._end_of(found.span[0], at))
        self._depth -= 1

    def _text(self, text: str) -> None:
        if self._level == PROPERTY_DEPTH:
            self.outline.nodes[-1].properties[-1].text += text

    def _tag(self, start: int) -> bytes:
        found = TAG.match(self._packet, start)
        if found is None:
            raise Unreadable("a tag that cannot be followed")
        return found[0]

    def _end_of(self, start: int, at: int) -> int:
        """Return the end of an element; `at` is the place of the end tag, or the end itself."""
        tag = self._tag(start)
        if tag.endswith(b"/>"):
            return start + len(tag)
        return self._packet.index(b">", at) + 1

    def _attributes(self, start: int, attributes: list[str]) -> Iterator[Property]:
        """Yield the attributes of a tag, without declarations of namespaces, by their order."""
        spans = list(_spans(self._tag(start), start))
        pairs = zip(attributes[::2], attributes[1::2], strict=True)
        for (name, value), span in zip(pairs, spans, strict=True):
            yield Property(name, span, value)


def _spans(tag: bytes, start: int) -> Iterator[Span]:
    """Yield the places of the attributes of a tag that begins at `start`."""
    name = NAME.match(tag)
    at = name.end() if name else 0
    while found := ATTRIBUTE.match(tag, at):
        at = found.end()
        if found[1] != b"xmlns" and not found[1].startswith(b"xmlns:"):
            yield start + found.start(), start + found.end()
