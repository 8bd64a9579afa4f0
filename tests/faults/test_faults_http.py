"""What can go wrong between an adapter and a vendor: rows F19 to F50 of the fault matrix."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_cli.core.errors import Failure
from kata_cli.core.messages import Usage
from kata_cli.core.ports import Timeouts
from servers import wire
from servers.adapters import ADAPTERS, Adapter, asking, converse, failure, finish, text_of
from servers.vendor import Raw, Reply, Status, VendorServer, redirect

EVERY = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
SSE_HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


def asked(adapter: Adapter, behaviour: Reply | Status | Raw, timeouts: Timeouts | None = None) -> Failure:
    """The failure of one request to a server that behaves so; it must be asked exactly once."""
    with VendorServer([behaviour]) as server:
        found = failure(converse(adapter.connect(server.base_url, timeouts))).failure
        assert len(server.requests) == 1
        assert server.is_left_alone()
    assert (found.provider, found.model) == ("vendor", "vendor/asked-1")
    assert "\n" not in found.message
    return found


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses outside loopback are reached directly."""
    monkeypatch.setenv("NO_PROXY", "*")


@EVERY
@pytest.mark.usefixtures("no_proxy")
def test_f19_a_host_that_is_not_known(adapter: Adapter) -> None:
    """A name that does not resolve is an outage that names the host."""
    found = failure(converse(adapter.connect("http://no-such-host.invalid"))).failure
    assert found.code == "provider_unavailable"
    assert "no-such-host.invalid" in found.message


@EVERY
def test_f20_a_port_that_nobody_serves(adapter: Adapter) -> None:
    """A refused connection is an outage that names host and port."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = failure(converse(adapter.connect(f"http://127.0.0.1:{port}"))).failure
    assert found.code == "provider_unavailable"
    assert f"127.0.0.1:{port} refused the connection" in found.message


@contextlib.contextmanager
def full_listener() -> Iterator[str]:
    """The address of a port whose queue is full, so that a connection never comes about."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@EVERY
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses instead of dropping")
def test_f21_a_connection_that_does_not_come_about(adapter: Adapter) -> None:
    """The connect limit is its own."""
    with full_listener() as address:
        found = failure(converse(adapter.connect(address, Timeouts(connect_s=0.1)))).failure
    assert (found.code, "connect timeout" in found.message) == ("timeout", True), found


@pytest.fixture(scope="module")
def tls_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A TLS port whose certificate nobody signed."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_shake_hands, args=(context, listener), daemon=True).start()
        yield listener.getsockname()[1]


def _shake_hands(context: ssl.SSLContext, listener: socket.socket) -> None:
    while True:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            context.wrap_socket(client, server_side=True).close()
        if listener.fileno() < 0:
            return


@EVERY
def test_f22_a_certificate_nobody_signed(adapter: Adapter, tls_port: int) -> None:
    """A certificate that is not trusted ends the request before the key is sent, and is not retried."""
    found = failure(converse(adapter.connect(f"https://localhost:{tls_port}"))).failure
    assert (found.code, found.should_retry) == ("provider_unavailable", False)
    assert "certificate" in found.message


@EVERY
@pytest.mark.parametrize(
    ("address", "variable", "value"),
    [
        ("http://[", "NO_PROXY", "*"),
        ("http://host:port", "NO_PROXY", "*"),
        ("https://api.invalid", "ALL_PROXY", "odd://127.0.0.1:9"),
        ("https://api.invalid", "SSL_CERT_FILE", "no/such/file.pem"),
    ],
)
def test_a_connection_that_cannot_even_be_prepared(
    adapter: Adapter, address: str, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad address, proxy or certificate file is a failure with a hint, not a traceback."""
    monkeypatch.setenv(variable, value)
    found = failure(converse(adapter.connect(address))).failure
    assert (found.code, "base_url" in found.hint) == ("config", True)


@EVERY
@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "closed"])
def test_f23_the_connection_breaks_before_the_headers(adapter: Adapter, is_reset: bool) -> None:
    """No headers, no answer."""
    assert asked(adapter, Raw(is_reset=is_reset)).code == "provider_unavailable"


@EVERY
@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "closed"])
def test_f24_the_connection_breaks_after_the_headers(adapter: Adapter, is_reset: bool) -> None:
    """Headers alone are no answer either, but they name the request."""
    found = asked(adapter, Reply(cut_at=0, is_reset=is_reset))
    assert (found.code, found.request_id) == ("provider_unavailable", "req_1")


@EVERY
@pytest.mark.parametrize(
    ("fault", "status", "kind", "headers", "code", "wait_s"),
    [
        ("f25", 429, "rate_limit_error", {"retry-after": "1"}, "rate_limited", 1.0),
        ("f26", 429, "rate_limit_error", {}, "rate_limited", None),
        ("f27", 429, "rate_limit_error", {"retry-after": "3600"}, "rate_limited", 3600.0),
        ("f28", 429, "enforced_spend_limit_reached", {"retry-after": "9"}, "quota_exhausted", 9.0),
        ("f28", 402, "billing_error", {}, "quota_exhausted", None),
        ("f29", 401, "authentication_error", {}, "invalid_auth", None),
        ("f30", 403, "permission_error", {}, "invalid_auth", None),
        ("f31", 404, "not_found_error", {}, "model_not_found", None),
        ("f32", 400, "context_length_exceeded", {}, "context_too_long", None),
        ("f33", 413, "request_too_large", {}, "context_too_long", None),
        ("f34", 500, "api_error", {}, "provider_unavailable", None),
        ("f37", 529, "overloaded_error", {}, "provider_unavailable", None),
    ],
)
def test_f25_to_f37_refusals(
    adapter: Adapter,
    fault: str,
    status: int,
    kind: str,
    headers: dict[str, str],
    code: str,
    wait_s: float | None,
) -> None:
    """Each refusal has its code, keeps the vendor's words and wish, and is asked once."""
    answer = Status(status=status, error_type=kind, message=f"words of {fault}", headers=headers)
    found = asked(adapter, answer)
    assert (found.code, found.status, found.retry_after_s, found.request_id) == (
        code,
        status,
        wait_s,
        "req_1",
    )
    assert found.message == f"vendor answered {status}: words of {fault}"


@EVERY
def test_f36_a_page_of_some_gateway(adapter: Adapter) -> None:
    """HTML is not quoted."""
    found = asked(adapter, Status(status=503, text="<html><h1>Bad</h1></html>", content_type="text/html"))
    assert (found.code, "html" in found.message) == ("provider_unavailable", False)


@EVERY
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_f38_a_redirect_is_refused_and_nothing_reaches_the_other_origin(
    adapter: Adapter, status: int
) -> None:
    """Neither prompt nor key nor any header goes where a redirect points (E7, E8, S4)."""
    with VendorServer() as other:
        found = asked(adapter, redirect(f"{other.base_url}/v1/messages?a=secret", status))
        assert (other.accepted, other.requests) == (0, [])
    assert (found.code, found.status, found.should_retry) == ("invalid_request", status, False)
    assert f"a redirect to {other.base_url};" in found.message


@EVERY
@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/event-streams"])
def test_f39_an_answer_that_is_no_event_stream(adapter: Adapter, kind: str) -> None:
    """A 200 of another type is no answer, and the type is named."""
    found = asked(adapter, Reply(content_type=kind))
    assert (found.code, kind in found.message) == ("provider_unavailable", True)


@EVERY
def test_f39_an_event_stream_of_another_api(adapter: Adapter) -> None:
    """Events that mean nothing to the adapter end in the failure of a stream without an end."""
    found = asked(adapter, Raw(data=f'{SSE_HEAD}connection: close\r\n\r\ndata: {{"type": "news"}}\n\n'))
    assert (found.code, "before the answer was complete" in found.message) == ("provider_unavailable", True)


@EVERY
@pytest.mark.parametrize("payload", ["{", "nonsense", "[1]", '"\xff"', "null"])
def test_f39_an_event_that_is_not_json(adapter: Adapter, payload: str) -> None:
    """A broken event is a failure at once, not something to step over."""
    found = asked(
        adapter, Raw(data=f"{SSE_HEAD}connection: close\r\n\r\ndata: {payload}\n\ndata: [DONE]\n\n")
    )
    assert found.code == "provider_unavailable"


@EVERY
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", "provider_unavailable"),
        ("rate_limit_exceeded", "rate_limited"),
        ("insufficient_quota", "quota_exhausted"),
        ("content_policy_violation", "content_policy"),
    ],
)
def test_f40_an_error_inside_the_stream_before_text(adapter: Adapter, kind: str, code: str) -> None:
    """A 200 that turns into an error is classified by the code in its event (E15)."""
    found = asked(adapter, Reply(text="", chunks=[], error={"type": kind, "code": kind, "message": "Sorry"}))
    assert (found.code, "Sorry" in found.message) == (code, True)


@EVERY
@pytest.mark.parametrize("timeouts", [Timeouts(idle_s=0.1)], ids=["idle"])
def test_f43_a_stall_past_the_idle_limit(adapter: Adapter, timeouts: Timeouts) -> None:
    """Silence after the headers ends at the idle limit, which is named with its value (R6)."""
    found = asked(adapter, Reply(cut_at=100, is_stalled=True), timeouts)
    assert (found.code, found.message) == ("timeout", "nothing came for 0.1 s (idle)")


@EVERY
def test_f43_a_stall_before_the_headers(adapter: Adapter) -> None:
    """Before the headers only the first-byte limit runs, however short the idle limit is."""
    found = asked(adapter, Raw(is_stalled=True), Timeouts(first_byte_s=0.1, idle_s=0.01))
    assert (found.code, found.message) == ("timeout", "no answer began within 0.1 s (first byte)")


@EVERY
def test_f43_a_stall_in_the_body_of_a_refusal(adapter: Adapter) -> None:
    """A status whose body never ends is bounded too."""
    head = "HTTP/1.1 500 No\r\ncontent-length: 99\r\n\r\n{"
    assert asked(adapter, Raw(data=head, is_stalled=True), Timeouts(first_byte_s=0.1)).code == "timeout"


@EVERY
@pytest.mark.parametrize("value", [-5, 10**12, "many", 1.5, True, None, [3]])
def test_f44_absurd_usage_counts_as_nothing(adapter: Adapter, value: Any) -> None:
    """Counts that cannot be are zero, and the answer stands."""
    usage = dict.fromkeys(wire.DEFAULT_USAGE, value)
    with VendorServer([Reply(usage=usage)]) as server:
        reply = finish(converse(adapter.connect(server.base_url))).reply
    assert (reply.text, reply.usage) == ("Hello from the vendor.", Usage())


@EVERY
def test_f44_no_usage_at_all(adapter: Adapter) -> None:
    """An answer without any count has the usage of nothing."""
    with VendorServer([Reply(usage=None)]) as server:
        assert finish(converse(adapter.connect(server.base_url))).reply.usage == Usage()


@EVERY
@pytest.mark.parametrize("text", ["", " \n\t"])
def test_f45_an_empty_answer(adapter: Adapter, text: str) -> None:
    """A complete stream without text is no success."""
    found = asked(adapter, Reply(text=text))
    assert (found.code, "without text" in found.message) == ("invalid_output", True)


@EVERY
def test_f46_an_answer_cut_by_its_bound(adapter: Adapter) -> None:
    """Text that max_tokens cut is handed on and says so; without text it is a failure."""
    with VendorServer([Reply(text="half a", stop="length")]) as server:
        reply = finish(converse(adapter.connect(server.base_url))).reply
    assert (reply.text, reply.stop) == ("half a", "length")
    found = asked(adapter, Reply(text="", stop="length"))
    assert (found.code, "max_tokens" in found.message) == ("invalid_output", True)


@EVERY
def test_f47_a_refusal(adapter: Adapter) -> None:
    """A model that declines has not answered, whatever it said."""
    assert asked(adapter, Reply(text="I cannot.", stop="refusal")).code == "content_policy"


@EVERY
def test_f48_a_long_answer(adapter: Adapter) -> None:
    """Megabytes come through whole."""
    piece = "0123456789abcdef" * 4096
    with VendorServer([Reply(chunks=[piece] * 64, usage=None)]) as server:
        events = converse(adapter.connect(server.base_url))
    assert finish(events).reply.text == piece * 64


@EVERY
def test_f48_a_line_without_end(adapter: Adapter) -> None:
    """A line of more than 16 MiB ends the request instead of filling the memory."""
    endless = f"{SSE_HEAD}connection: close\r\n\r\ndata: " + "x" * (17 * 1024 * 1024)
    found = asked(adapter, Raw(data=endless))
    assert (found.code, "16777216 bytes" in found.message) == ("provider_unavailable", True)


@EVERY
def test_f49_a_lone_surrogate(adapter: Adapter) -> None:
    """Half a character is a broken event, not a crash further down."""
    stream = b"".join(wire.events(adapter.api, Reply(text="X"))).replace(b'"X"', b'"\\ud83d"')  # type: ignore[arg-type]
    data = f"{SSE_HEAD}connection: close\r\n\r\n" + stream.decode()
    assert asked(adapter, Raw(data=data)).code == "provider_unavailable"


@EVERY
def test_f50_escapes_are_data_here(adapter: Adapter) -> None:
    """Control sequences come through unchanged; making them harmless is the screen's work."""
    bomb = "\x1b[2J\x1b]0;title\x07\x9b31m\x00\r\x7f"
    with VendorServer([Reply(text=bomb)]) as server:
        events = converse(adapter.connect(server.base_url))
    assert finish(events).reply.text == text_of(events) == bomb


def test_the_vendor_runs_as_a_program(tmp_path: Path) -> None:
    """The loopback vendor of these tests serves a script file and logs what it was asked."""
    script, log = tmp_path / "script.json", tmp_path / "log.jsonl"
    script.write_text(json.dumps([{"type": "Reply", "text": "from a file"}]))
    command = [sys.executable, "-m", "servers.vendor", "--script", str(script), "--log", str(log)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        origin = child.stdout.readline().strip()
        assert finish(converse(ADAPTERS[2].connect(origin), asking())).reply.text == "from a file"
        child.stdin.close()
        assert child.wait(10) == 0
    assert json.loads(log.read_text())["path"] == "/v1/chat/completions"
