"""Requests as the guard sees them, each with the status of its refusal."""

from __future__ import annotations

import msgspec

from kata_cli.service.guard import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_TARGET_BYTES, Asked, Guard

TOKEN = "t0ken-" + "x" * 40
PORT = 8765
HOST = f"127.0.0.1:{PORT}"
JSON = {"Content-Type": "application/json"}
KEY = {"Authorization": f"Bearer {TOKEN}"}
OWN = {"Host": HOST}
REMOTE_HOSTS = ("Team.Example", "tunnel.example:9000", "[2001:db8::1]")
GUARD = Guard(token=TOKEN, port=PORT, hosts=REMOTE_HOSTS)


Headers = dict[str, str] | list[tuple[str, str]]


class Row(msgspec.Struct, frozen=True):
    """A request and the status of its refusal; 0 when it is served."""

    name: str
    status: int
    headers: Headers
    path: str = "/api/sessions"
    method: str = "GET"
    target_bytes: int = 20
    is_socket: bool = False

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(self.headers.items()) if isinstance(self.headers, dict) else self.headers

    @property
    def asked(self) -> Asked:
        return Asked(
            method=self.method,
            path=self.path,
            headers=[(name.lower().encode(), value.encode("latin-1")) for name, value in self.pairs],
            target_bytes=self.target_bytes,
            is_socket=self.is_socket,
        )


def _hosts(*values: str) -> list[tuple[str, str]]:
    return [("Host", value) for value in values] + list(KEY.items())


def _post(*headers: tuple[str, str]) -> list[tuple[str, str]]:
    return [*(OWN | KEY | JSON).items(), *headers]


HOSTS = [
    Row("by address", 0, OWN | KEY),
    Row("by name", 0, _hosts(f"localhost:{PORT}")),
    Row("in capitals", 0, _hosts(f"LocalHost:{PORT}")),
    Row("by IPv6", 0, _hosts(f"[::1]:{PORT}")),
    Row("spaces around", 0, _hosts(f" {HOST}\t")),
    Row("allowed name, with port", 0, _hosts(f"team.example:{PORT}")),
    Row("allowed name behind a proxy", 0, _hosts("team.example")),
    Row("allowed name with a port of its own", 0, _hosts("tunnel.example:9000")),
    Row("allowed IPv6", 0, _hosts(f"[2001:db8::1]:{PORT}")),
    Row("allowed name, other port", 421, _hosts(f"tunnel.example:{PORT}")),
    Row("rebound name", 421, _hosts(f"evil.example:{PORT}")),
    Row("own name as a prefix", 421, _hosts(f"localhost.evil.example:{PORT}")),
    Row("own name as a user", 421, _hosts(f"localhost@evil.example:{PORT}")),
    Row("trailing dot", 421, _hosts(f"localhost.:{PORT}")),
    Row("no port", 421, _hosts("127.0.0.1")),
    Row("other port", 421, _hosts("127.0.0.1:80")),
    Row("empty", 421, _hosts("")),
    Row("missing", 421, KEY),
    Row("not ASCII", 421, _hosts("lôcalhost")),
    Row("two different", 400, _hosts(HOST, "evil.example")),
    Row("two equal", 400, _hosts(HOST, HOST)),
    Row("forwarded", 421, [*_hosts("evil.example"), ("X-Forwarded-Host", HOST)]),
    Row("open path, rebound", 421, {"Host": "evil.example"}, path="/healthz"),
]
ORIGINS = [
    Row("own", 0, OWN | KEY | {"Origin": f"http://{HOST}"}),
    Row("own by name", 0, OWN | KEY | {"Origin": f"http://localhost:{PORT}"}),
    Row("allowed name behind TLS", 0, [*_hosts("team.example"), ("Origin", "https://team.example")]),
    Row("own, but not plain HTTP", 403, OWN | KEY | {"Origin": f"https://{HOST}"}),
    Row("foreign", 403, OWN | KEY | {"Origin": "https://evil.example"}),
    Row("null", 403, OWN | KEY | {"Origin": "null"}),
    Row("empty", 403, OWN | KEY | {"Origin": ""}),
    Row("other port", 403, OWN | KEY | {"Origin": "http://127.0.0.1:3000"}),
    Row("own as a prefix", 403, OWN | KEY | {"Origin": f"http://{HOST}.evil.example"}),
    Row("two", 403, [*(OWN | KEY).items(), ("Origin", f"http://{HOST}"), ("Origin", "http://evil.example")]),
    Row("foreign, open path", 403, OWN | {"Origin": "http://evil.example"}, path="/"),
    Row("foreign socket", 403, OWN | {"Origin": "http://evil.example"}, path="/api/ws", is_socket=True),
]
TOKENS = [
    Row("missing", 401, OWN),
    Row("wrong", 401, OWN | {"Authorization": "Bearer guess"}),
    Row("a prefix of it", 401, OWN | {"Authorization": f"Bearer {TOKEN[:-1]}"}),
    Row("longer", 401, OWN | {"Authorization": f"Bearer {TOKEN}x"}),
    Row("empty", 401, OWN | {"Authorization": "Bearer "}),
    Row("not ASCII", 401, OWN | {"Authorization": "Bearer tökèn"}),
    Row("other scheme", 401, OWN | {"Authorization": f"Basic {TOKEN}"}),
    Row("without scheme", 401, OWN | {"Authorization": TOKEN}),
    Row("scheme in lower case", 0, OWN | {"Authorization": f"bearer {TOKEN}"}),
    Row("twice", 401, [*(OWN | KEY).items(), *KEY.items()]),
    Row("as a cookie", 401, OWN | {"Cookie": f"token={TOKEN}"}),
    Row("every other path", 401, OWN, path="/nope"),
    Row("root of the API", 401, OWN, path="/api"),
    Row("API in capitals", 401, OWN, path="/API/sessions"),
    Row("two slashes", 401, OWN, path="//api/sessions"),
    Row("health", 0, OWN, path="/healthz"),
    Row("readiness", 0, OWN, path="/readyz"),
    Row("the panel", 0, OWN, path="/"),
    Row("a file of the panel", 0, OWN, path="/panel/app.js"),
    Row("socket without", 0, OWN, path="/api/ws", is_socket=True),
    Row("socket with", 0, OWN | KEY, path="/api/ws", is_socket=True),
    Row("socket, wrong", 401, OWN | {"Authorization": "Bearer guess"}, path="/api/ws", is_socket=True),
    Row("socket elsewhere", 401, OWN, path="/api/sessions", is_socket=True),
    Row("socket path without a socket", 401, OWN, path="/api/ws"),
]
BODIES = [
    Row("JSON", 0, _post(("Content-Length", "2")), method="POST"),
    Row("none", 0, OWN | KEY, method="POST"),
    Row("of no bytes", 0, OWN | KEY | {"Content-Length": "0"}, method="POST"),
    Row(
        "charset",
        0,
        OWN | KEY | {"Content-Type": "Application/JSON; charset=utf-8", "Content-Length": "2"},
        method="POST",
    ),
    Row("of the limit", 0, _post(("Content-Length", str(MAX_BODY_BYTES))), method="POST"),
    Row("over the limit", 413, _post(("Content-Length", str(MAX_BODY_BYTES + 1))), method="POST"),
    Row("no type", 415, OWN | KEY | {"Content-Length": "2"}, method="POST"),
    Row("a form", 415, OWN | KEY | {"Content-Type": "text/plain", "Content-Length": "2"}, method="POST"),
    Row("type as a prefix", 415, OWN | KEY | {"Content-Type": "application/jsonp", "Content-Length": "2"}),
    Row("two types", 415, _post(("Content-Type", "text/plain"), ("Content-Length", "2")), method="POST"),
    Row("chunked", 411, _post(("Transfer-Encoding", "chunked")), method="POST"),
    Row("both", 400, _post(("Transfer-Encoding", "chunked"), ("Content-Length", "2")), method="POST"),
    Row("two equal lengths", 400, _post(("Content-Length", "2"), ("Content-Length", "2")), method="POST"),
    Row("two lengths", 400, _post(("Content-Length", "2"), ("Content-Length", "9")), method="POST"),
    Row("two codings", 400, _post(("Transfer-Encoding", "a"), ("Transfer-Encoding", "b")), method="POST"),
    Row("negative", 400, _post(("Content-Length", "-1")), method="POST"),
    Row("plus", 400, _post(("Content-Length", "+2")), method="POST"),
    Row("list", 400, _post(("Content-Length", "2, 2")), method="POST"),
    Row("hexadecimal", 400, _post(("Content-Length", "0x2")), method="POST"),
    Row("19 digits", 400, _post(("Content-Length", "1" * 19)), method="POST"),
    Row("blank", 400, _post(("Content-Length", "")), method="POST"),
    Row("of a socket", 400, _post(("Content-Length", "2")), path="/api/ws", is_socket=True),
    Row("socket by POST", 400, OWN, path="/api/ws", method="POST", is_socket=True),
]
TARGETS = [
    Row("head", 0, OWN, path="/healthz", method="HEAD"),
    Row("preflight", 405, OWN | {"Origin": "http://evil.example"}, method="OPTIONS"),
    Row("put", 405, OWN | KEY, method="PUT"),
    Row("trace", 405, OWN | KEY, method="TRACE"),
    Row("of the limit", 0, OWN | KEY, target_bytes=MAX_TARGET_BYTES),
    Row("too long", 414, OWN | KEY, target_bytes=MAX_TARGET_BYTES + 1),
    Row("headers too long", 431, OWN | KEY | {"X": "x" * MAX_HEAD_BYTES}),
    Row("up and out", 400, OWN, path="/panel/../api/sessions"),
    Row("up and out, other slashes", 400, OWN, path="/panel/..\\api"),
    Row("dot", 400, OWN, path="/panel/./x"),
    Row("NUL", 400, OWN, path="/panel/\x00"),
    Row("line feed", 400, OWN, path="/panel/a\nb"),
]

TABLES = {"host": HOSTS, "origin": ORIGINS, "token": TOKENS, "body": BODIES, "target": TARGETS}
