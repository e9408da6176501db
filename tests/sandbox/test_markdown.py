import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.page.markdown import Names, ago, render

NAMES = Names(now=1_000_000, users={1: "Ada"}, roles={2: "Painters"}, channels={3: "art"})

INLINE = [
    ("**bold**", "<strong>bold</strong>"),
    ("*one* _two_", "<em>one</em> <em>two</em>"),
    ("__under__", "<u>under</u>"),
    ("~~struck~~", "<s>struck</s>"),
    ("||hush||", '<span class="spoiler">hush</span>'),
    ("**bold *both***", "<strong>bold <em>both</em></strong>"),
    ("snake_case_name", "snake_case_name"),
    ("2 * 3 * 4", "2 * 3 * 4"),
    ("`**code** \\* <b>`", "<code>**code** \\* &lt;b&gt;</code>"),
    ("``a ` b``", "<code>a ` b</code>"),
    ("<@1> <@!1> <@9>", "@Ada @Ada @unknown"),
    ("<@&2> <#3> @everyone", "@Painters #art @everyone"),
    ("</credits grant:77>", "/credits grant"),
    ("<:brush:123456>", ":brush:"),
    ("one\ntwo", "one<br>two"),
]


@pytest.mark.parametrize(("text", "expected"), INLINE)
def test_marks_within_a_line_become_html(text: str, expected: str) -> None:
    shown = render(text, NAMES).replace('<span class="mention">', "")

    if "mention" in render(text, NAMES):
        shown = shown.replace("</span>", "")
    assert shown == f"<p>{expected}</p>"


BLOCKS = [
    ("# One\n## Two\n### Three", "<h1>One</h1><h2>Two</h2><h3>Three</h3>"),
    ("#none", "<p>#none</p>"),
    ("-# small **print**", "<small>small <strong>print</strong></small>"),
    ("> a\n> b\nc", "<blockquote><p>a<br>b</p></blockquote><p>c</p>"),
    (">>> a\nb", "<blockquote><p>a<br>b</p></blockquote>"),
    ("- a\n  - b", '<ul><li class="in0">a</li><li class="in1">b</li></ul>'),
    ("3. a\n4. b", '<ol start="3"><li class="in0">a</li><li class="in0">b</li></ol>'),
    ("a\n```py\n<b>\n```\nc", "<p>a</p><pre><code>&lt;b&gt;</code></pre><p>c</p>"),
    ("text\n- item", '<p>text</p><ul><li class="in0">item</li></ul>'),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), BLOCKS)
def test_lines_become_blocks(text: str, expected: str) -> None:
    assert render(text, NAMES) == expected


SPECIAL = ["**a**", "*a*", "_a_", "__a__", "~~a~~", "||a||", "`a`", "<@1>", "<t:5:R>"]
SPECIAL += ["# a", "> a", "-# a", "- a", "[a](https://a.example)"]


@pytest.mark.parametrize("text", SPECIAL)
def test_a_backslash_takes_the_meaning_away(text: str) -> None:
    escaped = "".join(f"\\{each}" if not each.isalnum() and each != " " else each for each in text)

    shown = render(escaped, NAMES)

    assert shown == f"<p>{text.replace('<', '&lt;').replace('>', '&gt;')}</p>"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[a *b*](https://a.example/x)", "https://a.example/x"),
        ("[a](<https://a.example>)", "https://a.example"),
        ("see https://a.example/x?y=1&z=2.", "https://a.example/x?y=1&amp;z=2"),
        ("<https://a.example/x>", "https://a.example/x"),
    ],
)
def test_links_lead_where_they_say(text: str, address: str) -> None:
    assert f'href="{address}"' in render(text, NAMES)


def test_a_link_to_a_message_on_the_page_leads_to_it() -> None:
    names = Names(now=0, messages=frozenset({55}))

    shown = render("[a](https://discord.com/channels/1/2/55)", names)
    elsewhere = render("[a](https://discord.com/channels/1/2/56)", names)

    assert 'href="#m55"' in shown
    assert 'href="https://discord.com/channels/1/2/56"' in elsewhere


@pytest.mark.parametrize(
    "text", ["[a](javascript:alert(1))", "[a](data:text/html,x)", "javascript:alert(1)", "[a](b)"]
)
def test_only_web_addresses_become_links(text: str) -> None:
    assert "<a" not in render(text, NAMES)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<t:999940:R>", "1 minute ago"),
        ("<t:1864000:R>", "in 10 days"),
        ("<t:1000000>", "12 January 1970 13:46"),
        ("<t:1000000:t>", "13:46"),
        ("<t:1000000:T>", "13:46:40"),
        ("<t:1000000:d>", "12/01/1970"),
        ("<t:1000000:D>", "12 January 1970"),
        ("<t:1000000:F>", "Monday, 12 January 1970 13:46"),
        ("<t:9999999999999:D>", "&lt;t:9999999999999:D&gt;"),
    ],
)
def test_times_are_written_out(text: str, shown: str) -> None:
    assert f">{shown}<" in render(text, NAMES)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds ago"), (1, "1 second ago"), (-90, "in 1 minute"), (7200, "2 hours ago")],
)
def test_how_long_ago_is_told_in_the_largest_unit(seconds: float, words: str) -> None:
    assert ago(seconds) == words


def tags(html: str) -> set[str]:
    return {part.split(">")[0].split(" ")[0].strip("/") for part in html.split("<")[1:]}


OURS = {"p", "br", "h1", "h2", "h3", "small", "blockquote", "ul", "ol", "li", "pre", "code"}
OURS |= {"strong", "em", "u", "s", "a", "span", "time"}


@given(st.text(alphabet="<>&\"'*_~|`[]()#>- \\\n@t:R19ahtps/script", max_size=120))
def test_whatever_the_text_holds_the_html_is_ours(text: str) -> None:
    shown = render(text, NAMES)

    assert tags(shown) <= OURS
    assert '"' not in shown.replace('="', "").replace('" ', "").replace('">', "")


@pytest.mark.parametrize("text", ["*" * 4000, "*_" * 2000, "[" * 4000, "||~~" * 1000, "<" * 4000])
def test_text_made_to_be_slow_is_rendered_at_once(text: str) -> None:
    since = time.process_time()

    render(text, NAMES)

    assert time.process_time() - since < 2
