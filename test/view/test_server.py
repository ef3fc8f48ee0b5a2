"""The server over real sockets on loopback."""

import http.client
import json
import socket

import pytest

from prehend.errors import ParameterError
from prehend.view.server import PAGE, ViewServer, is_loopback


@pytest.fixture
def server(feed, controls):
    with ViewServer(feed, controls.command, "127.0.0.1", 0) as server:
        yield server


def ask(server, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def command(server, name, **headers):
    return ask(server, "POST", "/control", json.dumps({"do": name}), **{"Content_Type": "application/json", **headers})


def test_the_page_needs_nothing_from_elsewhere(server):
    answer, content = ask(server)
    assert answer.status == 200 and answer.getheader("Content-Type") == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.getheader("Content-Security-Policy")
    for file in PAGE.iterdir():
        text = file.read_text()
        assert "https://" not in text and text.count("http://") == text.count("http://www.w3.org/2000/svg")
        assert ask(server, path=f"/{file.name}")[1].decode() == text
    assert b"view.js" in content


@pytest.mark.parametrize(
    "path", ["/../server.py", "/..%2fserver.py", "//etc/passwd", "/page/index.html", "/x.js", "/%00"]
)
def test_nothing_but_the_page_is_given_out(server, path):
    assert ask(server, path=path)[0].status == 404


def test_several_viewers_get_the_same_frames(server, feed, make_seen):
    streams = []
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/events")
        streams.append(connection.getresponse())
        assert streams[-1].getheader("Content-Type").startswith("text/event-stream")
    feed.show(make_seen(7))
    for stream in streams:
        while not (line := stream.readline()).startswith(b"event: frame"):
            assert line
        packet = json.loads(stream.readline().removeprefix(b"data: "))
        assert packet["n"] == 7 and len(packet["hands"]) == 2 and packet["jpeg"]
    assert feed.viewers == 3


def test_commands_reach_the_player(server, controls):
    assert command(server, "pause")[0].status == 204 and controls.state["paused"]
    answer, content = command(server, "explode")
    assert answer.status == 400 and b"choose one of" in content


def test_a_page_from_elsewhere_neither_reads_nor_commands(server, controls):
    assert ask(server, Host="evil.example")[0].status == 403  # DNS rebinding
    assert ask(server, path="/events", Host=f"evil.example:{server.port}")[0].status == 403
    assert command(server, "pause", Origin="http://evil.example")[0].status == 403
    assert command(server, "pause", Content_Type="text/plain")[0].status == 415  # what a form can send
    assert command(server, "pause", Origin="null")[0].status == 403
    assert not controls.state["paused"]
    own = f"127.0.0.1:{server.port}"
    assert command(server, "pause", Host=own, Origin=f"http://{own}")[0].status == 204
    assert ask(server, Host=f"localhost:{server.port}")[0].status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"do"', b"\xff\xfe", b'{"x": 1}', b" " * 500, b"[" * 190])
def test_commands_that_are_none_are_refused(server, body):
    assert ask(server, "POST", "/control", body, Content_Type="application/json")[0].status == 400


def test_a_live_view_has_nothing_to_command(feed):
    with ViewServer(feed, None, "127.0.0.1", 0) as server:
        assert command(server, "pause")[0].status == 404


def test_a_viewer_that_leaves_is_noticed_and_a_broken_request_harms_nobody(server, feed, make_seen):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as gone:
        gone.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert gone.recv(10)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as broken:
        broken.sendall(b"\x00\xff nonsense\r\n\r\n")
        broken.recv(10)
    for number in range(1, 1200):
        feed.show(make_seen(number))
        if number > 3 and feed.viewers == 0:
            break
        __import__("time").sleep(0.05)
    assert feed.viewers == 0 and ask(server)[0].status == 200


def test_a_taken_port_and_a_foreign_host_are_told(server, feed):
    with pytest.raises(ParameterError, match=f"port {server.port} is taken"):
        ViewServer(feed, None, "127.0.0.1", server.port)
    with pytest.raises(ParameterError, match="no machine has that name"):
        ViewServer(feed, None, "no such host", 0)
    with pytest.raises(ParameterError, match="is it an address of this machine"):
        ViewServer(feed, None, "192.0.2.1", 0)  # a documentation address (RFC 5737)


def test_only_an_open_server_answers_to_other_names(feed):
    with ViewServer(feed, None, "0.0.0.0", 0) as server:
        assert server.is_open and server.url == f"http://127.0.0.1:{server.port}/"
        assert ask(server, Host="robot.local")[0].status == 200
        assert ask(server, Host="robot.local", Origin="http://evil.example")[0].status == 403
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "10.0.0.1", "robot")] == [True] * 3 + [
        False
    ] * 2


def test_the_end_is_quick_whoever_still_looks_on(feed):
    with ViewServer(feed, None, "127.0.0.1", 0) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/events")
        stream = connection.getresponse()
        assert stream.readline().startswith(b"event: hello")
    stream.read()  # comes to its end
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
