"""A corpus of hostile requests over raw sockets: each must be refused with a reason, soon, and change nothing."""

import json
import re
import socket
import threading
import time

from .server import NEWEST

# A refusal comes at once; a server that needs so long hangs.
SOON = 10
# Slow requests are cut off by the server's own limits, half a minute for headers and for a body.
SLOW = 45


class Case:
    """Bytes to send, and what must come back: one of these statuses, and a body that says why (unless HTTP itself was broken)."""

    def __init__(self, name, data, statuses=(400,), broken=False):
        self.name, self.data, self.statuses, self.broken = name, data, statuses, broken


def request(method, path, body=b"", headers=(), version=NEWEST):
    """A request as a client would send it; `headers` may be bytes as they stand."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close"]
    lines += [f"X-OpenStack-Ironic-API-Version: {version}".encode()]
    lines += list(headers)
    if body and not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in headers):
        lines += [b"Content-Type: application/json", f"Content-Length: {len(body)}".encode()]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def bodies(seeds):
    """Bodies that are not what they should be, for every route that takes one."""
    first = {name: some[0] for name, some in seeds["path"].items()}
    node, port = first["node"], first["port"]
    routes = [
        ("POST", "/v1/nodes"), ("PATCH", f"/v1/nodes/{node}"), ("PUT", f"/v1/nodes/{node}/states/provision"),
        ("PUT", f"/v1/nodes/{node}/states/power"), ("PUT", f"/v1/nodes/{node}/maintenance"),
        ("PUT", f"/v1/nodes/{node}/management/boot_device"), ("PUT", f"/v1/nodes/{node}/traits"),
        ("POST", f"/v1/nodes/{node}/vifs"), ("POST", "/v1/ports"), ("PATCH", f"/v1/ports/{port}"),
        ("POST", f"/v1/heartbeat/{node}"), ("POST", "/v1/portgroups"), ("PATCH", f"/v1/portgroups/{first['portgroup']}"),
        ("PATCH", f"/v1/chassis/{first['chassis']}"), ("POST", "/v1/volume/connectors"), ("POST", "/v1/volume/targets"),
        ("PATCH", f"/v1/volume/targets/{first['target']}"),
        ("POST", "/v1/deploy_templates"), ("PATCH", f"/v1/deploy_templates/{first['template']}"), ("POST", "/v1/runbooks"),
        ("PATCH", f"/v1/runbooks/{first['runbook']}"), ("PUT", f"/v1/runbooks/{first['runbook']}/traits"),
        ("POST", "/v1/inspection_rules"), ("PATCH", f"/v1/inspection_rules/{first['rule']}"), ("POST", "/v1/allocations"),
        ("PATCH", f"/v1/allocations/{first['allocation']}"), ("POST", "/v1/events"), ("POST", "/v1/continue_inspection"),
        ("PUT", f"/v1/nodes/{node}/states/raid"), ("PUT", f"/v1/nodes/{node}/states/boot_mode"),
        ("PUT", f"/v1/nodes/{node}/states/secure_boot"), ("POST", f"/v1/nodes/{node}/vmedia"),
        ("POST", f"/v1/nodes/{node}/vendor_passthru?method=no_such"), ("PUT", f"/v1/nodes/{node}/management/inject_nmi"),
    ]
    texts = {
        "no JSON": b"{bad",
        "half a JSON": b'{"driver": "fake-hardware"',
        "two JSONs": b'{"driver": "fake-hardware"} {}',
        "a byte order mark": b'\xef\xbb\xbf{"driver": "fake-hardware"}',
        "bytes that are no UTF-8": b'{"driver": "\xff\xfe"}',
        "UTF-16": '{"driver": "fake-hardware"}'.encode("utf-16"),
        "a lone surrogate": b'{"driver": "\\ud800", "name": "\\udc00"}',
        "an escaped NUL": b'{"driver": "fake-hardware", "owner": "\\u0000", "reason": "\\u0000", "target": "\\u0000", "x": 1}',
        "a NUL in a text": b'{"driver": "fake\x00hardware"}',
        "a NUL before the JSON": b'\x00{"driver": "fake-hardware"}',
        "nothing but NULs": b"\x00" * 1000,
        "a number beyond all floats": b'{"driver": 1e999, "target": 1e999, "traits": 1e999}',
        "not a number": b'{"driver": NaN, "target": Infinity}',
        "an integer of 10,000 digits": b'{"driver": ' + b"9" * 10000 + b"}",
        "a list of numbers": b"[1, 2, 3]",
        "a text": b'"text"',
        "a number": b"0",
        "true": b"true",
        "depth of 26": b'{"extra": ' + b"[" * 26 + b"]" * 26 + b"}",
        "depth of 100,000": b"[" * 100_000,
        "depth of 100,000 in objects": b'{"a":' * 100_000,
        "100,000 unknown keys": json.dumps({f"key{number}": 1 for number in range(50_000)}).encode(),
        "a key of 500,000 characters": json.dumps({"x" * 500_000: 1}).encode(),
        "the same key twice, the last one wrong": b'{"driver": "fake-hardware", "driver": 1, "target": 1, "enabled": 1, "x": 1}',
        "keys of Python's": b'{"__class__": {}, "__proto__": {"x": 1}, "constructor": 1}',
        "operations of RFC 6902 that Ironic lacks": b'[{"op": "test", "path": "/name", "value": null}]',
        "a patch of an unknown attribute": b'[{"op": "add", "path": "/no_such", "value": 1}]',
        "a patch of a path that is none": b'[{"op": "add", "path": "//", "value": 1}, {"op": "add", "path": "extra"}]',
        "a patch of two": b'[{"op": "add", "path": "/extra/x", "value": 1}, {"op": "remove", "path": "/extra/none/such"}]',
        "2,000 operations": json.dumps([{"op": "add", "path": f"/extra/k{n}", "value": 1} for n in range(2000)]).encode(),
    }
    for name, text in texts.items():
        for method, path in routes:
            yield Case(f"{name}: {method} {path}", request(method, path, text))
    too_large = (413,)
    for method, path in routes:
        # Config drives and what an inspection found may be larger.
        if "provision" not in path and "inspection" not in path.replace("inspection_rules", ""):
            yield Case(f"more than 1 MiB: {method} {path}", request(method, path, b" " * (2 << 20)), too_large)
            chunks = (b"10000\r\n" + b" " * 65536 + b"\r\n") * 17
            yield Case(f"chunks of more than 1 MiB: {method} {path}", request(method, path, chunks, [b"Transfer-Encoding: chunked"]), too_large)
        headers = [b"Content-Length: 9223372036854775807"]
        yield Case(f"8 EiB announced: {method} {path}", request(method, path, b"{}", headers), too_large)
    for kind in (b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"text/xml", b"\xff\xfe", b"," * 1000):
        text = b"driver=fake-hardware"
        headers = [b"Content-Type: " + kind, f"Content-Length: {len(text)}".encode()]
        yield Case(f"content type {kind[:40]!r}", request("POST", "/v1/nodes", text, headers))
    text = bytes.fromhex("1f8b0800000000000003ab4e29ca2c4b2d52b2524a4bcc4ed5cd482c4a2e4f2c4a55aa0500") + b"\x00" * 8
    headers = [b"Content-Encoding: gzip", f"Content-Length: {len(text)}".encode()]
    yield Case("a compressed body", request("POST", "/v1/nodes", text, headers))


def paths(seeds):
    """Paths and queries that are none."""
    node = seeds["path"]["node"][0]
    for part in (
        "%", "%z", "%zz", "%0", "%00", "%ff", "%c0%af", "%ed%a0%80", "%e2%80%8b", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "n0%00", "n0%0a",
        "n0%20", "'%20OR%201=1--", "%22;DROP%20TABLE%20node;--", "${jndi:ldap://x}", "a" * 300, "a" * 30_000, "%25" * 1000,
        "..%5c..%5c", "\\", "{node}", "%7bnode%7d", "-", "🦀".encode().hex(), "%f0%9f%a6%80",
    ):
        for suffix in ("", "/states", "/ports"):
            yield Case(f"node {part[:40]}{suffix}", request("GET", f"/v1/nodes/{part}{suffix}"), (400, 404))
        yield Case(f"deletion of {part[:40]}", request("DELETE", f"/v1/nodes/{part}"), (400, 404))
        yield Case(f"port {part[:40]}", request("GET", f"/v1/ports/{part}"), (400, 404))
    for path in ("/v1/nodes/../nodes/x", "/v1/./x", "/v1/%2e%2e/x", "/etc/passwd", "/v2/nodes", "/v1/nodes/" + "/x" * 5000, "/%00", "/v1x"):
        yield Case(f"path {path[:40]}", request("GET", path), (400, 404))
    for query in (
        "limit=0", "limit=-1", "limit=99999999999999999999", "limit=1e3", "limit=0x10", "limit=%00", "limit=1&limit=2", "limit=",
        "marker=x", "marker=%ff", "marker=" + "0" * 10_000, f"marker={node}%00", "sort_key=%00", "sort_key=id;drop", "sort_key=extra",
        "sort_dir=up", "fields=%00", "fields=uuid,no_such", "owner=%00", "description_contains=a%00b", "fields=" + "x," * 10_000, "fields=uuid&detail=true", "detail=maybe",
        "maintenance=perhaps", "associated=%ff", "provision_state=none", "fault=none", "chassis_uuid=x", "instance_uuid=%00", "no_such=1",
        "=", "=1", "%00=1", "%=%", "a[]=1", "limit[$gt]=1", "x=1&" * 1000, "&".join(f"k{n}=1" for n in range(100)),
    ):
        yield Case(f"query {query[:40]}", request("GET", f"/v1/nodes?{query}"))
        yield Case(f"query {query[:40]} of a node", request("GET", f"/v1/nodes/{node}/states?{query}x"))
    for query in ("addresses=" + "52:54:00:00:00:01," * 3000, "node_uuid=x", "addresses=%00", "addresses=&node_uuid="):
        yield Case(f"lookup {query[:40]}", request("GET", f"/v1/lookup?{query}"), (400, 404))


def headers(seeds):
    """Headers that are garbage to the API; what no HTTP server could read comes in `broken`."""
    for version in ("1", "1.", ".1", "1.x", "1.0", "1.116", "2.1", "-1.1", "1.1.1", "1.99999999999999999999", "x" * 7000, "1.1, 1.2"):
        yield Case(f"version {version[:20]!r}", request("GET", "/v1/nodes", version=version), (406,))
    for value in (b"baremetal 1", b"baremetal \xff", b"baremetal latest1", b"baremetal x,,,"):
        yield Case(f"OpenStack-API-Version {value!r}", request("GET", "/v1/nodes", headers=[b"OpenStack-API-Version: " + value]), (406,))
    for method in ("OPTIONS", "TRACE", "FOO", "get", "PROPFIND", "PATCH", "DELETE"):
        yield Case(f"{method} of the nodes", request(method, "/v1/nodes"), (405,))
    yield Case("a method of 300 letters", request("A" * 300, "/v1/nodes"), (400, 405))


def broken():
    """What is no HTTP, or may be read in two ways: smuggling lives from servers that guess."""
    get = b"GET /v1/nodes HTTP/1.1\r\nHost: localhost\r\n"
    post = b"POST /v1/nodes HTTP/1.1\r\nHost: localhost\r\n"
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    delete = b"DELETE /v1/nodes/n0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    unreadable = {
        "no HTTP": b"hello\r\n\r\n",
        "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 200,
        "HTTP 0.9": b"GET /\r\n\r\n",
        "HTTP 3.0": b"GET / HTTP/3.0\r\n\r\n",
        "NULs": b"\x00" * 4096,
        "a space before the colon": get + b"Content-Length : 5\r\n\r\n",
        "a folded header": get + b"X-A: b\r\n c\r\n\r\n",
        "a header without a colon": get + b"nonsense\r\n\r\n",
        "a NUL in a header": get + b"X-A: \x00\r\n\r\n",
        "a smuggled header": get + b"X-A: b\rContent-Length: 5\r\n\r\n",
        "a line feed in the path": b"GET /v1/no\ndes HTTP/1.1\r\n\r\n",
        "a space in the path": b"GET /v1/nodes /x HTTP/1.1\r\n\r\n",
        "a length that is none": post + b"Content-Length: x\r\n\r\n",
        "a negative length": post + b"Content-Length: -1\r\n\r\n",
        "a length with a sign": post + b"Content-Length: +2\r\n\r\n{}",
        "a length of 30 digits": post + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}",
        "two lengths": post + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        "two lengths in one": post + b"Content-Length: 2, 3\r\n\r\n{} ",
        "an unknown transfer coding": post + b"Transfer-Encoding: gzip\r\n\r\n{}",
        "a transfer coding of two": post + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "chunked by HTTP 1.0": b"POST /v1/nodes HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "a hidden transfer coding": post + b"Content-Length: 6\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + delete,
    }
    too_large = {
        "200 headers": get + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + b"\r\n",
        "a header of 1 MB": get + b"X-A: " + b"y" * (1 << 20) + b"\r\n\r\n",
        "a path of 1 MB": b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
    }
    # These get as far as the API, which must neither take them nor see what is hidden behind them.
    ambiguous = {
        "a chunk of a size that is none": chunked + b"xyz\r\n",
        "a chunk of a negative size": chunked + b"-1\r\n",
        "a chunk of 2^64 bytes": chunked + b"10000000000000000\r\n",
        "a chunk without an end": chunked + b"2\r\n{}xx0\r\n\r\n",
        "a chunk with an extension of 1 MB": chunked + b"2;" + b"x" * 1_000_000 + b"\r\n{}\r\n0\r\n\r\n",
        "trailers of 1 MB": chunked + b"0\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        "length and chunks": post + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + delete,
        "chunks and length": post + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + delete,
        "a transfer coding after a tab": post + b"Content-Length: 6\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\nG" + delete,
    }
    for name, data in unreadable.items():
        yield Case(name, data, broken=True)
    for name, data in too_large.items():
        yield Case(name, data, (431,), broken=True)
    for name, data in ambiguous.items():
        yield Case(name, data)


def exchange(port, case):
    """Sends and reads until the server closes; `None` if it doesn't."""
    with socket.create_connection(("127.0.0.1", port), timeout=SOON) as connection:
        try:
            connection.sendall(case.data)
        except OSError:
            pass  # It may close before it has read all.
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionError:
            pass
        except TimeoutError:
            return None
        return answer


def judge(case, answer):
    """What is wrong with an answer."""
    if answer is None:
        return [f"no end within {SOON} seconds"]
    heads = re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)
    if not heads:
        return ["no answer"]
    statuses = [int(status) for status in heads]
    errors = [f"{status} {answer[-300:]!r}" for status in statuses if status not in case.statuses]
    if len(statuses) > 1:
        errors.append(f"{len(statuses)} answers: {statuses}")
    if not case.broken and not errors:
        try:
            document = json.loads(answer.split(b"\r\n\r\n", 1)[1])
            fault = json.loads(document["error_message"]) if "error_message" in document else document
            assert fault["faultstring"]
        except (ValueError, KeyError, AssertionError) as error:
            errors.append(f"it doesn't say why ({error!r}): {answer[-300:]!r}")
    return errors


def run(port, seeds):
    """Sends all; the outcome of each group."""
    for group, cases in (
        ("bodies", bodies(seeds)), ("paths and queries", paths(seeds)), ("headers", headers(seeds)), ("broken HTTP", broken()),
    ):
        count, errors = 0, []
        for case in cases:
            count += 1
            errors += [f"{case.name}: {error}" for error in judge(case, exchange(port, case))]
        yield f"{count} hostile requests are refused: {group}", errors


def trickle(port, start, drop):
    """Sends `start`, then a byte each second until the server has had enough; the answer and how long that took."""
    begun = time.monotonic()
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(start)
        while time.monotonic() - begun < SLOW:
            try:
                connection.sendall(drop)
                chunk = connection.recv(65536)
                answer += chunk
                if not chunk:
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    return answer, time.monotonic() - begun


def start_slow(port):
    """Requests that come a byte a second, or stop; many at once. They run beside everything else."""
    starts = {
        "a slow body": (request("POST", "/v1/nodes", headers=[b"Content-Length: 1000000"]), b" ", b" 408 "),
        "slow chunks": (request("POST", "/v1/nodes", headers=[b"Transfer-Encoding: chunked"]), b"1\r\n \r\n", b" 408 "),
        "a body that stops": (request("POST", "/v1/nodes", headers=[b"Content-Length: 1000000"]), b"", b" 408 "),
        "slow headers": (b"GET /v1/nodes HTTP/1.1\r\nHost: localhost\r\n", b"X", None),
        "a request line that stops": (b"GET /v1/no", b"", None),
        "nothing at all": (b"", b"", None),
    }
    outcomes, threads = {}, []
    for name, (start, drop, expected) in starts.items():
        for number in range(20):
            def work(key=(name, number), start=start, drop=drop, expected=expected):
                outcomes[key] = (*trickle(port, start, drop), expected)
            threads.append(threading.Thread(target=work, daemon=True))
            threads[-1].start()
    return outcomes, threads


def finish_slow(slow):
    """Waits for the slow requests to be cut off; the outcome of each kind."""
    outcomes, threads = slow
    for thread in threads:
        thread.join(SLOW + SOON)
    errors = {}
    for (name, number), (answer, seconds, expected) in sorted(outcomes.items()):
        kind = errors.setdefault(name, [])
        if seconds >= SLOW:
            kind.append(f"{number}: still open after {SLOW} seconds")
        elif expected and expected not in answer:
            kind.append(f"{number}: {answer[:300]!r}")
    for name, kind in errors.items():
        yield f"20 connections are cut off: {name}", kind
