"""XMP packets with the mark: made, merged into existing ones, and read.

Names, namespaces and types are those of the IPTC Photo Metadata Standard 2025.1: each property is a
simple text that occurs once.
"""

import re
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape, quoteattr

from bot.pictures.marks.mark import Mark, Recipe, SourceType, Unmarkable
from bot.pictures.marks.outline import RDF, Outline, Span, Unreadable, outline_of

MAX_PACKET = 256 * 1024  # bytes; a larger packet is neither parsed nor replaced

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
EASEL = "urn:x-easel:recipe/1/"
PREFIXES = {IPTC: "Iptc4xmpExt", EASEL: "easel"}
SOURCE = f"{IPTC} DigitalSourceType"
SYSTEM = f"{IPTC} AISystemUsed"
PROMPT = f"{IPTC} AIPromptInformation"
RECIPE = f"{EASEL} Recipe"
OURS = frozenset({SOURCE, SYSTEM, PROMPT, RECIPE})
PROVENANCE = "http://purl.org/dc/terms/ provenance"  # the address of a C2PA manifest

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TRAILER = b"<?xpacket end"
PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="{rdf}">
{description}</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

Properties = Mapping[str, str]  # texts by "namespace local"


def properties_of(mark: Mark) -> dict[str, str]:
    found = {SOURCE: str(mark.source), SYSTEM: mark.system}
    if mark.recipe is not None:
        found |= {PROMPT: _prompts(mark.recipe), RECIPE: _json(mark.recipe)}
    return found


def without_recipe(properties: Properties) -> dict[str, str]:
    return {name: properties[name] for name in (SOURCE, SYSTEM) if name in properties}


def new_packet(properties: Properties) -> bytes:
    return PACKET.format(rdf=RDF, description=_description(properties)).encode()


def merged(packet: bytes, properties: Properties) -> bytes:
    """Return the packet with these properties in place of the former ones; all else stays.

    A packet that no reader could use is replaced. Raises Unmarkable for one that is too large.
    """
    try:
        outline = parsed(packet)
    except Unreadable:
        return new_packet(properties)
    about = next((node.about for node in outline.nodes), "")  # the same in a whole packet
    parts, at = list[bytes](), 0
    for start, end in sorted(_former(outline)):
        parts.append(packet[at:start])
        at = end
    parts += [
        packet[at : outline.end],
        _description(properties, about).encode(),
        packet[outline.end :],
    ]
    return b"".join(parts)


def fitted(packet: bytes | None, properties: Properties, longest: int) -> bytes:
    """Return the packet, merged or new, in `longest` bytes: else without padding, or recipe.

    Raises Unmarkable if there is too little room even then.
    """
    for each in (properties, without_recipe(properties)):
        made = new_packet(each) if packet is None else merged(packet, each)
        if len(made) > longest:
            made = _without_padding(made)
        if len(made) <= longest:
            return made
    raise Unmarkable(f"no room for a mark in {longest} bytes of XMP")


def values_in(packet: bytes) -> dict[str, str]:
    """Return the properties of the mark in a packet. Raises Unreadable or Unmarkable."""
    return {each.name: each.text for each in parsed(packet).properties() if each.name in OURS}


def names_a_manifest(packet: bytes) -> bool:
    """Return whether C2PA data of the file is elsewhere, at an address in the packet."""
    try:
        return any(each.name == PROVENANCE for each in parsed(packet).properties())
    except Unreadable:
        return False


def is_marked(properties: Properties) -> bool:
    return properties.get(SOURCE) in set(SourceType)


def recipe_of(packets: Iterable[bytes]) -> Recipe | None:
    """Return the first recipe in these packets."""
    for packet in packets:
        try:
            found = Recipe.parse(values_in(packet).get(RECIPE, ""))
        except Unreadable:
            continue
        if found is not None:
            return found
    return None


def parsed(packet: bytes) -> Outline:
    if len(packet) > MAX_PACKET:
        raise Unmarkable(f"an XMP packet of {len(packet)} bytes")
    return outline_of(packet)


def _former(outline: Outline) -> Iterable[Span]:
    """Yield the places of former marks; a description that has nothing else goes whole."""
    for node in outline.nodes:
        ours = [each.span for each in node.properties if each.name in OURS]
        if ours and len(ours) == len(node.properties):
            yield node.start, node.end
        else:
            yield from ours


def _without_padding(packet: bytes) -> bytes:
    head, trailer, tail = packet.rpartition(TRAILER)
    return head.rstrip() + b"\n" + trailer + tail if trailer else packet


def _description(properties: Properties, about: str = "") -> str:
    used = {name.partition(" ")[0]: None for name in properties}
    spaces = "".join(f' xmlns:{PREFIXES[each]}="{each}"' for each in used)
    lines = []
    for name, text in properties.items():
        space, _, local = name.partition(" ")
        tag = f"{PREFIXES[space]}:{local}"
        lines.append(f" <{tag}>{escape(NOT_XML.sub('', text))}</{tag}>\n")
    head = f'<rdf:Description rdf:about={quoteattr(about)} xmlns:rdf="{RDF}"{spaces}>\n'
    return f"{head}{''.join(lines)}</rdf:Description>"


def _prompts(recipe: Recipe) -> str:
    """Return the prompts as IPTC's property holds them, for people."""
    negative = recipe.options.get("negative_prompt")
    return f"{recipe.prompt}\n\nNegative prompt: {negative}" if negative else recipe.prompt


def _json(recipe: Recipe) -> str:
    """Return the recipe for programs, with escapes for characters that XML excludes."""
    text = recipe.model_dump_json(exclude_none=True)
    return NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
