"""Markdown in the panel, run in Chromium: what is rendered, what stays as it was written, and how fast."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page

from kata_cli.core.text import neutral
from panel.modules import call

MARKDOWN = [
    ("plain", "<p>plain</p>"),
    ("two\nlines", "<p>two\nlines</p>"),
    ("one\n\ntwo", "<p>one</p><p>two</p>"),
    ("# One ##", "<h3>One</h3>"),
    ("###### Six", "<h6>Six</h6>"),
    ("#no", "<p>#no</p>"),
    ("---", "<hr>"),
    (
        "**b** *i* _i_ __b__ ~~s~~",
        "<p><strong>b</strong> <em>i</em> <em>i</em> <strong>b</strong> <s>s</s></p>",
    ),
    ("***both***", "<p><strong><em>both</em></strong></p>"),
    ("snake_case_name 2*3*4 ** x **", "<p>snake_case_name 2<em>3</em>4 ** x **</p>"),
    ("`a *b*` ``c ` d``", '<p><code dir="ltr">a *b*</code> <code dir="ltr">c ` d</code></p>'),
    (r"\*no\* \<b\>", "<p>*no* &lt;b&gt;</p>"),
    ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
    ("* a\n  - b\n    - c\n* d", "<ul><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li><li>d</li></ul>"),
    ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    ("- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
    ("- a\n\n  b", "<ul><li>ab</li></ul>"),
    ("- [ ] a\n- [x] b", "<ul><li>☐ a</li><li>☑ b</li></ul>"),
    ("text\n- a", "<p>text</p><ul><li>a</li></ul>"),
    ("> a\n> > b", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote>"),
    ("<b>x</b> &amp; &lt;", "<p>&lt;b&gt;x&lt;/b&gt; &amp;amp; &amp;lt;</p>"),
    ("```code```", '<p><code dir="ltr">code</code></p>'),
    ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
    ("[x](JaVaScRiPt:alert%281%29)", "<p>[x](JaVaScRiPt:alert%281%29)</p>"),
    ("[x](//evil.invalid) [y](data:,z)", "<p>[x](//evil.invalid) [y](data:,z)</p>"),
]
TABLE = "| a | b |\n|---|:-:|\n| `x` | 1 \\| 2 |\n| only |\n\nafter"
LINKS = [
    ("[a](https://x.test/p?q=1)", "https://x.test/p?q=1", "a (x.test)"),
    ("https://x.test/p.", "https://x.test/p", "https://x.test/p."),
    ("(see https://x.test/p)", "https://x.test/p", "(see https://x.test/p)"),
    ("<https://x.test/p>", "https://x.test/p", "https://x.test/p"),
    ("[https://bank.test](https://evil.test)", "https://evil.test/", "https://bank.test (evil.test)"),
    (
        "[https://bank.test](https://bank.test@evil.test)",
        "https://bank.test@evil.test/",
        "https://bank.test (evil.test)",
    ),
    ("[x.test](https://x.test/)", "https://x.test/", "x.test (x.test)"),
    ("[https://x.test](https://x.test/)", "https://x.test/", "https://x.test"),
    ("[b](https://раура.test)", "https://xn--80aa0cbo.test/", "b (xn--80aa0cbo.test)"),
]
ENDLESS = [
    "[" * 50_000,
    "**a " * 12_000,
    "`" * 50_000,
    "*_" * 20_000,
    "> " * 25_000,
    "- " * 25_000,
    "# a" + " " * 50_000 + "b",
    "\n" * 50_000,
    "|" * 25_000 + "\n" + "-|" * 12_000,
    "a\n" * 25_000,
    "1. a\n\n" * 5_000,
    "https://" * 6_000,
]


def _html(page: Page, text: str) -> str:
    made = "((all) => (all.append(m.markdown(arg)), all.innerHTML))(document.createElement('div'))"
    return str(call(page, "markdown", made, text))


@pytest.mark.parametrize(("text", "html"), MARKDOWN, ids=[repr(text) for text, _ in MARKDOWN])
def test_markdown_becomes_nodes(modules: Page, text: str, html: str) -> None:
    """What models write is rendered; what is not known stays as it was written."""
    assert _html(modules, text) == html


def test_a_block_of_code_keeps_its_text(modules: Page) -> None:
    """Code is shown to the letter, with its language and a button; an open fence goes on to the end."""
    for text in ("```python\n  a = '<b>'\n\n# no heading\n```", "~~~python\n  a = '<b>'\n\n# no heading"):
        html = _html(modules, text)
        assert "<code>  a = '&lt;b&gt;'\n\n# no heading</code>" in html
        assert '<span class="language">python</span>' in html
        assert "Copy</button>" in html


def test_a_table_becomes_one(modules: Page) -> None:
    """A table has as many cells in each row as it has titles."""
    html = _html(modules, TABLE)
    assert "<thead><tr><th>a</th><th>b</th></tr></thead>" in html
    assert '<tr><td><code dir="ltr">x</code></td><td>1 | 2</td></tr>' in html
    assert "<tr><td>only</td><td></td></tr></tbody>" in html
    assert html.endswith("<p>after</p>")


@pytest.mark.parametrize(("text", "target", "shown"), LINKS)
def test_a_link_shows_where_it_leads(modules: Page, text: str, target: str, shown: str) -> None:
    """Only http and https are links; unless its label is the address, a link has its true host beside it."""
    script = (
        "(() => { const all = m.markdown(arg); return [all.querySelector('a').href, all.textContent]; })()"
    )
    assert call(modules, "markdown", script, text) == [target, shown]


@pytest.mark.parametrize("text", ENDLESS, ids=lambda text: repr(text[:8]))
def test_no_text_keeps_the_renderer_busy(modules: Page, text: str) -> None:
    """Texts made to be slow are rendered in time that grows with their length, not with its square."""
    script = "((start) => (m.markdown(arg), performance.now() - start))(performance.now())"
    assert call(modules, "markdown", script, text) < 2_000


def test_control_characters_are_shown_as_the_terminal_shows_them(modules: Page) -> None:
    """X1: the panel escapes exactly what `core.text.neutral` escapes, lone surrogates too."""
    codes = [*range(0x300), *range(0x600, 0x620), *range(0x1800, 0x1810), *range(0x2000, 0x2070)]
    codes += [
        *range(0xD7F0, 0xD810),
        *range(0xDFF0, 0xE010),
        *range(0xFEF0, 0x10010),
        *range(0xE0000, 0xE0090),
    ]
    text = "|".join(map(chr, codes)) + "a\r\nb"
    shown = call(modules, "dom", "m.neutral(JSON.parse(arg))", json.dumps(text))
    assert shown == neutral(text)


def test_what_is_settled_of_a_growing_text(modules: Page) -> None:
    """Only blocks that are complete are settled: up to the last blank line that is not inside a fence."""
    texts = ["", "a", "a\n\n", "a\n\nb", "a\n\n```\nb\n\nc", "a\n\n```\nb\n\n```\n\nc", "```\n\n"]
    assert call(modules, "markdown", "arg.map(m.settledLength)", texts) == [0, 0, 3, 3, 3, 15, 0]
