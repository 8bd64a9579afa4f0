"""What a hostile or failing model can do to the panel: nothing. A scripted vendor behind a real service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from panel.page import OpenPanel, PanelPage
from panel.serving import Serving
from servers.behaviours import Behaviour, Models, Reply, Seen, Status
from servers.vendor import VendorServer

HOSTILE = """<script>window.owned = 1</script>
<img src="https://evil.invalid/x.png" onerror="window.owned = 2"> <svg onload="window.owned = 3">
<iframe srcdoc="<script>parent.owned = 4</script>"></iframe> <style>body { display: none }</style>

[click](javascript:window.owned=5) [data](data:text/html,<script>owned=6</script>)
<a href="javascript:owned=7">x</a>
![image](https://evil.invalid/pixel.png) [honest](https://example.invalid/path) https://example.invalid/bare

# <b>heading</b>

- <script>window.owned = 8</script>

| <img src=x onerror=owned=9> | b |
|---|---|
| `<script>` | \x1b]8;;https://evil.invalid\x07link\x1b]8;;\x07 |

```html"><script>owned=10</script>
</code></pre><script>window.owned = 11</script>
```

\x1b[2J\x1b[31mred\x1b[0m \x07bell \x9b5m \u202egnp.exe\u202c \u200bzero \U000e0041tag"""
ELEMENTS = "#messages :is(script, img, svg, iframe, style, object, embed, form, input, link, meta, base)"
CONTROLS = r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066-\u2069]|\udb40"


def _vendor(seen: Seen) -> Behaviour:
    """Answers by what was said last."""
    if seen.method == "GET":
        return Models(rows=[{"id": "served-1"}, {"id": "served-2"}])
    said = [message for message in seen.body["messages"] if message["role"] == "user"][-1]["content"]
    if said == "fail":
        return Status(
            status=401, error_type="authentication_error", code="invalid_api_key", message="wrong key"
        )
    return Reply(text=HOSTILE)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service in native mode; its vendor is on loopback and answers with hostile text."""
    with VendorServer(_vendor) as vendor:
        options = ("--provider", "openai", "--model", "served-1")
        env = {"OPENAI_API_KEY": "key-of-the-vendor", "OPENAI_BASE_URL": vendor.openai_url}
        with Serving(tmp_path_factory.mktemp("hostile"), *options, **env) as serving:
            yield serving


def _is_inert(page: PanelPage) -> None:
    assert page.run("window.owned") is None
    assert page[ELEMENTS].count() == 0
    assert page.run(f"messages.textContent.match(/{CONTROLS}/u)") is None
    links = page.run(
        "Array.from(messages.querySelectorAll('a'), (link) => [link.protocol, link.rel, link.target])"
    )
    assert links
    assert all(link == ["https:", "noopener noreferrer nofollow", "_blank"] for link in links)
    attributes = page.run(
        "Array.from(messages.querySelectorAll('*')).flatMap((one) => one.getAttributeNames())"
        ".filter((name) => name.startsWith('on') || name === 'style' || name === 'src')"
    )
    assert attributes == []


def test_hostile_text_of_a_model_is_inert(hostile: Serving, panel: OpenPanel) -> None:
    """X1, CL-11: markup stays text, nothing runs, nothing is loaded, control characters are shown escaped."""
    page = panel(hostile)
    page.create()
    page.say("Go.")
    answer = page.answers
    expect(answer).to_contain_text("<script>window.owned = 1</script>")
    expect(answer).to_contain_text(
        "^[[2J^[[31mred^[[0m ^Gbell \\u{9b}5m \\u{202e}gnp.exe\\u{202c} \\u{200b}zero \\u{e0041}tag"
    )
    expect(answer).to_contain_text("[click](javascript:window.owned=5)")
    expect(answer.locator("a")).to_have_text(
        ["https://evil.invalid/x.png", "image", "honest", "https://example.invalid/bare"]
    )
    expect(answer.locator(".host")).to_have_text([" (evil.invalid)", " (example.invalid)"])
    _is_inert(page)


def test_hostile_text_of_a_user_is_inert_too(hostile: Serving, panel: OpenPanel) -> None:
    """What was said, the title made of it, and what is read again after a reload are text as well."""
    page = panel(hostile)
    page.create()
    page.say("<img src=x onerror=owned=1> \x1b[31m\u202e")
    expect(page.answers).to_have_count(1)
    page.reload()
    expect(page["#messages .user"]).to_have_text("<img src=x onerror=owned=1> ^[[31m\\u{202e}")
    expect(page["#sessions [aria-current]"]).to_contain_text("<img src=x onerror=owned=1>")
    _is_inert(page)


def test_a_failure_is_shown_with_what_to_do(hostile: Serving, panel: OpenPanel) -> None:
    """A turn that fails says why and what helps; the next message works."""
    page = panel(hostile)
    page.create()
    page.say("fail")
    expect(page["#messages .failure p"].first).to_contain_text("openai")
    expect(page["#messages .failure .hint"]).to_contain_text("kata auth status")
    page.say("Go.")
    expect(page.answers).to_have_count(1)


def test_a_model_is_chosen(hostile: Serving, panel: OpenPanel) -> None:
    """The models are those of the provider; the one that is chosen answers from the next request on."""
    page = panel(hostile)
    page.create()
    expect(page["#model option"]).to_have_text(["openai/served-1", "openai/served-2"])
    page["#model"].select_option("openai/served-2")
    page["#thinking"].select_option("high")
    page.reload()
    expect(page["#model"]).to_have_value("openai/served-2")
    expect(page["#thinking"]).to_have_value("high")


def test_a_missing_key_is_named_and_never_asked_for(tmp_path: Path, panel: OpenPanel) -> None:
    """CL-11: without the key of a provider the panel names the variable; it has no field for a key."""
    with Serving(tmp_path, "--provider", "openai") as serving:
        page = panel(serving, may_refuse=True)
        expect(page["#alert"]).to_contain_text("OPENAI_API_KEY")
        page["#alert button"].click()
        expect(page["#alert"]).to_be_hidden()
        page["#create"].click()
        expect(page["#alert"]).to_contain_text("OPENAI_API_KEY")
        expect(page["input:visible"]).to_have_count(1)  # the title
        assert page.run("document.querySelectorAll('input[type=password]').length") == 1  # the service token
