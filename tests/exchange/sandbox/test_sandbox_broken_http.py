"""Clients that don't speak HTTP as it should be: they are answered, and nobody else is told."""

import logging
import socket
from urllib.parse import urlsplit

import pytest

GET = b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n"
HEADERS = b"".join(b"X-%d: y\r\n" % number for number in range(200))
NO_GZIP = b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"

FUTURES = "/derivatives/api/v3"
EXECUTIONS = "/api/history/v3/market/PF_XBTUSD/executions"  # pragma: allowlist secret


def said_to(sandbox, side, path, rest):
    """All that comes back for one request, until the connection ends."""
    place = urlsplit(sandbox.urls._asdict()[side])
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(GET % (path.encode(), place.netloc.encode()) + rest)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize("path", [f"{FUTURES}/history", f"{FUTURES}/orderbook?symbol=PF_XBTUSD", EXECUTIONS])
def test_futures_refuses_a_body_that_is_not_encoded_as_it_says(sandbox, path):
    answer = said_to(sandbox, "futures_rest", path, NO_GZIP)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b'{"result":"error","error":"Bad Request",' in answer


def test_futures_takes_no_more_fields_than_any_request_has(sandbox):
    fields = b"&".join(b"a%d=b" % number for number in range(101))
    head = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"

    answer = said_to(sandbox, "futures_rest", f"{FUTURES}/orderbook?symbol=PF_XBTUSD", head % len(fields) + fields)

    assert b'"error":"Bad Request"' in answer


def test_control_refuses_a_body_that_is_not_encoded_as_it_says(sandbox):
    place = urlsplit(sandbox.urls.control)
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(b"POST /advance HTTP/1.1\r\nHost: %b\r\n" % place.netloc.encode() + NO_GZIP)
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"The body is not encoded as its headers say." in answer


@pytest.mark.parametrize(
    ("side", "path"),
    [("spot_rest", "/0/public/Time"), ("futures_rest", f"{FUTURES}/tickers"), ("control", "/state")],
)
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(HEADERS + b"\r\n", id="200 headers"),
        pytest.param(NO_GZIP, id="a body that is no gzip"),
        pytest.param(b"no header\r\n\r\n", id="a line that is no header"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="a chunk without a length"),
    ],
)
def test_what_a_client_gets_wrong_is_not_logged(sandbox, caplog, side, path, rest):
    with caplog.at_level(logging.WARNING):
        assert said_to(sandbox, side, path, rest).startswith(b"HTTP/1.")

    assert caplog.text == ""
