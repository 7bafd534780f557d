"""Files behind addresses: from real HTTPS servers, and never from inside the house.

127.0.0.1 plays the open internet here, 127.0.0.2 the house: whoever reaches it got in.
"""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

from bot.render import SAMPLE_FACTS, Templates
from bot.web import BadAddress, Web, WebError, is_public, place_of
from bot.web.places import Address
from sop.errors import RenderError

OUTSIDE, INSIDE = ip_address("127.0.0.1"), ip_address("127.0.0.2")
MOST = 50_000


class Pages(BaseHTTPRequestHandler):
    """What the servers say."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer by path."""
        server = self.server
        assert isinstance(server, Site)
        server.asked.append(self.path)
        name, _, more = self.path.partition("?")[0].lstrip("/").partition("/")
        getattr(self, f"_{name}")(more)

    def log_message(self, *_: object) -> None:
        """Quietly."""

    def _say(
        self, status: int, content: bytes = b"", length: int | None = None, **more: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _file(self, more: str) -> None:
        self._say(200, b"x" * int(more))

    def _to(self, more: str) -> None:
        self._say(302, Location=more)

    def _around(self, _more: str) -> None:
        self._say(302, Location="/around")

    def _status(self, more: str) -> None:
        self._say(int(more), b"no")

    def _short(self, _more: str) -> None:
        self._say(200, b"half", length=8)
        self.close_connection = True

    def _endless(self, _more: str) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 10_000)
        except OSError:
            self.close_connection = True

    def _drip(self, _more: str) -> None:
        """A byte now and then, so that no single read takes long."""
        server = self.server
        assert isinstance(server, Site)
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        try:
            while not server.over.wait(0.02):
                self.wfile.write(b"x")
        except OSError:
            self.close_connection = True


class Site(ThreadingHTTPServer):
    """A server on one of the loopback's addresses."""

    daemon_threads = True

    def __init__(self, address: Address, certificate: Path, port: int = 0) -> None:
        super().__init__((str(address), port), Pages)
        self.asked: list[str] = []
        self.over = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what is tested."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for the names below, in one file."""
    path = tmp_path_factory.mktemp("web") / "all.pem"
    names = "subjectAltName=DNS:cdn.test,DNS:other.test,DNS:xn--fiq228c.test"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
         "-subj", "/CN=cdn.test", "-addext", names, "-keyout", str(path), "-out", f"{path}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def serve(site: Site) -> Iterator[Site]:
    thread = threading.Thread(target=partial(site.serve_forever, poll_interval=0.01))
    thread.start()
    yield site
    site.over.set()
    site.shutdown()
    thread.join()
    site.server_close()


@pytest.fixture
def outside(certificate: Path) -> Iterator[Site]:
    yield from serve(Site(OUTSIDE, certificate))


@pytest.fixture
def inside(certificate: Path, outside: Site) -> Iterator[Site]:
    """On the same port, so that only the address tells the two apart."""
    yield from serve(Site(INSIDE, certificate, outside.server_port))


Visit = Callable[..., Web]


@pytest.fixture
def visit(certificate: Path) -> Visit:
    """A `Web` for which 127.0.0.1 is public and nothing else is."""
    trust = ssl.create_default_context(cafile=str(certificate))

    def make(
        resolve: Callable[[str, int], Sequence[Address]] = lambda _h, _p: [OUTSIDE],
        patience: float = 10.0,
    ) -> Web:
        def allowed(address: Address) -> bool:
            return address == OUTSIDE or is_public(address)

        return Web(allowed=allowed, resolve=resolve, trust=trust, largest=MOST, patience=patience)

    return make


def at(site: Site, path: str, host: str = "cdn.test") -> str:
    return f"https://{host}:{site.server_port}/{path}"


async def test_a_file_is_fetched_once_and_kept(outside: Site, visit: Visit) -> None:
    web = visit()
    for _ in range(3):
        assert await web.fetch(at(outside, "file/1000")) == b"x" * 1000
    assert outside.asked == ["/file/1000"]


async def test_redirects_are_followed(outside: Site, visit: Visit) -> None:
    target = at(outside, "file/10", "other.test")
    assert await visit().fetch(at(outside, f"to/{target}")) == b"x" * 10
    assert len(outside.asked) == 2


async def test_names_and_paths_in_chinese_arrive(outside: Site, visit: Visit) -> None:
    assert await visit().fetch(at(outside, "file/7?名=小满 家&a=%20", "中文.test")) == b"x" * 7
    assert outside.asked == ["/file/7?%E5%90%8D=%E5%B0%8F%E6%BB%A1%20%E5%AE%B6&a=%20"]


async def test_a_redirect_inside_is_not_followed(outside: Site, inside: Site, visit: Visit) -> None:
    def resolve(host: str, _port: int) -> list[Address]:
        return [INSIDE if host == "other.test" else OUTSIDE]

    for target in (
        at(inside, "file/10", "other.test"),  # a public name with a private address
        at(inside, "file/10", "127.0.0.2"),
        at(inside, "file/10", "2130706434"),
        at(inside, "file/10", "[::ffff:127.0.0.2]"),
        at(inside, "file/10", "localhost"),
        at(inside, "file/10").replace("https", "http"),
        "ftp://cdn.test/a.png",
        "",
    ):
        with pytest.raises(WebError) as caught:
            await visit(resolve).fetch(at(outside, f"to/{target}"))
        assert not caught.value.retry or target == "", target
    assert inside.asked == []


async def test_a_name_that_changes_its_mind_does_not_lead_inside(
    outside: Site, inside: Site, visit: Visit
) -> None:
    """DNS rebinding: the address that was looked at is the one that is called."""
    answers = [OUTSIDE, INSIDE, INSIDE]
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[Address]:
        asked.append(host)
        return [answers[min(len(asked), len(answers)) - 1]]

    assert await visit(resolve).fetch(at(outside, "file/10")) == b"x" * 10
    assert (asked, outside.asked, inside.asked) == (["cdn.test"], ["/file/10"], [])
    with pytest.raises(WebError, match="指向内网"):
        await visit(resolve).fetch(at(outside, "file/11"))
    assert inside.asked == []


async def test_one_private_address_among_public_ones_is_enough(
    outside: Site, inside: Site, visit: Visit
) -> None:
    for answers in ([OUTSIDE, INSIDE], [INSIDE, OUTSIDE], []):
        with pytest.raises(WebError, match="指向内网") as caught:
            await visit(lambda _h, _p, answers=answers: answers).fetch(at(outside, "file/10"))
        assert not caught.value.retry
    assert outside.asked == inside.asked == []


@pytest.mark.parametrize(
    ("path", "words", "retry"),
    [
        (f"file/{MOST + 1}", "文件超过", False),
        ("endless", "文件超过", False),
        ("file/0", "文件是空的", False),
        ("status/404", "对方回答 404", False),
        ("status/503", "对方回答 503", True),
        ("status/429", "对方回答 429", True),
        ("short", "中途断了", True),
    ],
)
async def test_what_is_no_file(
    outside: Site, visit: Visit, path: str, words: str, retry: bool
) -> None:
    with pytest.raises(WebError, match=words) as caught:
        await visit().fetch(at(outside, path))
    assert caught.value.retry is retry


async def test_redirects_come_to_an_end(outside: Site, visit: Visit) -> None:
    with pytest.raises(WebError, match="转了 3 次"):
        await visit().fetch(at(outside, "around"))
    assert len(outside.asked) == 4


async def test_a_server_that_drips_is_cut_off(outside: Site, visit: Visit) -> None:
    with pytest.raises(WebError, match="等了太久") as caught:
        await visit(patience=0.3).fetch(at(outside, "drip"))
    assert caught.value.retry


async def test_a_certificate_of_somebody_else_is_not_believed(outside: Site, visit: Visit) -> None:
    with pytest.raises(WebError, match="证书不可信"):
        await visit().fetch(at(outside, "file/1", "evil.test"))
    system = Web(allowed=lambda _: True, resolve=lambda _h, _p: [OUTSIDE])
    with pytest.raises(WebError, match="证书不可信"):
        await system.fetch(at(outside, "file/1"))
    assert outside.asked == []


async def test_nobody_there_may_be_tried_again(visit: Visit) -> None:
    with pytest.raises(WebError, match="连不上") as caught:
        await visit().fetch("https://cdn.test:1/a.png")
    assert caught.value.retry


# --- what is public ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",  # noqa: S104
     "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.2.1", "198.18.0.1",
     "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
     "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1", "2001:0:1::1",
     "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
     "2001:db8::1"],
)  # fmt: skip
def test_this_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "223.5.5.5", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_this_is_public(address: str) -> None:
    assert is_public(ip_address(address))


REFUSED = [
    "http://example.com/a", "ftp://example.com/a", "https://", "https://localhost/a",
    "https://127.0.0.1/a", "https://127.1/a", "https://2130706433/a", "https://0x7f000001/a",
    "https://0x7f.1/a", "https://0177.0.0.1/a", "https://[::1]/a", "https://[::ffff:10.0.0.1]/a",
    "https://[fe80::1%25eth0]/a", "https://169.254.169.254/latest/meta-data", "https://router/a",
    "https://nas.local/a", "https://db.internal/a", "https://a.localhost./a", "https://10.0.0.1./a",
    "https://１２７.０.０.１/a", "https://user:pw@example.com/a", "https://example.com:99999/a",
    "https://[::1/a", "https://a..b.com/a", "https://" + "a" * 300 + ".com/a",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_such_an_address_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(BadAddress):
        place_of(url)


def test_an_address_is_taken_apart() -> None:
    place = place_of("https://CDN.Example.com./p/小满.png?a=b c#f")
    assert (place.host, place.port) == ("cdn.example.com", 443)
    assert place.path == "/p/%E5%B0%8F%E6%BB%A1.png?a=b%20c"


# --- in templates --------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://127.0.0.1/a.png", "https://nas.local/a.png"])
@pytest.mark.parametrize(
    "key", ["image: {}", "link: {{url: https://a.cn, title: t, thumbnail: {}}}"]
)
def test_a_template_with_a_private_address_is_a_mistake_on_its_line(url: str, key: str) -> None:
    text = f"---\n{key.format(url)}\n---\n好"
    (problem,) = Templates({"a.j2": text}).problems
    assert (problem.line, "不会去取这个网址" in problem.message) == (2, True)


def test_what_a_stranger_wrote_cannot_make_it_one() -> None:
    templates = Templates({"a.j2": "---\nimage: \"https://{{ text or 'a.cn' }}/a.png\"\n---\n好"})
    with pytest.raises(RenderError, match="不会去取这个网址"):
        templates.render("a", tags=[], facts={**SAMPLE_FACTS[0], "text": "169.254.169.254"})
