"""Stray and hostile clients of the REST API: what they send is refused, the log tells it once, memory stays flat, and
meanwhile those who behave are served."""
import json
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import FREES_AT_ONCE, ROOT, Cluster, wait_for  # noqa: E402
from harness.many_peers import GoodClient, allow_files, files_of, send  # noqa: E402

TENANT = ROOT / "tenants/client_a"
CROWD = 10000
GROWTH_KB = 48 * 1024
SETTINGS = {"rest.head.ms": 2000, "rest.idle.ms": 4000, "rest.slow.ms": 3000}
HOST = b"Host: localhost\r\n"
QUERY = b"POST /tenants/client_a/query HTTP/1.1\r\n" + HOST
GET = b"GET / HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /status HTTP/1.1\r\n" + HOST + b"\r\n"

# name, what is sent, statuses of which one is the only answer (None: closed without one)
ODD_REQUESTS = [
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (None, 400)),
    ("all bytes", bytes(range(256)) * 10, (None, 400)),
    ("HTTP/0.9", b"GET /\r\n\r\n", (400,)),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", (400, 505)),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505,)),
    ("100 KB of path", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", (None, 414)),
    ("100 KB of header", GET + b"X: " + b"a" * 100000 + b"\r\n\r\n", (None, 431)),
    ("20,000 headers", GET + b"".join(b"X-%d: a\r\n" % i for i in range(20000)) + b"\r\n", (None, 431)),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", (400,)),
    ("two Hosts", GET + b"Host: evil.example\r\n\r\n", (400,)),
    ("two Origins", GET + b"Origin: http://localhost\r\nOrigin: http://evil.example\r\n\r\n", (400,)),
    ("two lengths", QUERY + b"Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd" + SMUGGLED, (400,)),
    ("length and chunks", QUERY + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, (400,)),
    ("odd chunks", QUERY + b"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\nabcd" + SMUGGLED, (400,)),
    ("gzip", QUERY + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, (400,)),
    ("blank before colon", GET + b"Content-Length : 5\r\n\r\nabcde" + SMUGGLED, (400,)),
    ("length below zero", QUERY + b"Content-Length: -4\r\n\r\nabcd" + SMUGGLED, (400,)),
    ("length of 2^64", QUERY + b"Content-Length: 18446744073709551616\r\n\r\nabcd", (413,)),
    ("length of 2^63", QUERY + b"Content-Length: 9223372036854775807\r\n\r\nabcd", (413,)),
    ("body for nobody", GET + b"Content-Length: 9223372036854775807\r\n\r\nabcd", (413,)),
    ("chunk that is none", QUERY + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc" + SMUGGLED, (400,)),
    ("chunk of 2^64 - 1", QUERY + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", (None, 400)),
    ("ended in its head", GET, (None, 400)),
    ("body cut off", QUERY + b"Content-Length: 400\r\n\r\n{", (None, 400)),
]


def connect(cluster):
    return socket.create_connection(("127.0.0.1", cluster.port), timeout=30)


def answer_of(sock):
    """All that comes until the peer closes."""
    received = b""
    while True:
        try:
            part = sock.recv(65536)
        except ConnectionResetError:
            return received
        if not part:
            return received
        received += part


def odd_requests(cluster):
    sockets = [connect(cluster) for _ in ODD_REQUESTS]
    for sock, (_, sent, _) in zip(sockets, ODD_REQUESTS):
        send(sock, sent)
    for sock, (name, _, allowed) in zip(sockets, ODD_REQUESTS):
        received = answer_of(sock)
        sock.close()
        status = int(received.split(b" ", 2)[1]) if received else None
        assert status in allowed and b'"healthy"' not in received, (name, status, received[:600])
    with connect(cluster) as sock:  # one after the other, without waiting, is no crime
        sock.sendall((GET + b"\r\n") * 3)
        assert answer_of(sock).count(b"200 OK") == 3


def crowd(cluster):
    """Ten thousand connections that send nothing, half a head, a body without end, or garbage; all stay open."""
    parts = (b"", GET, QUERY + b"Content-Length: 100000\r\n\r\n{", b"\0\1\2\3")
    idle, sockets = files_of(cluster.coordinator), []
    with GoodClient(cluster):
        for number in range(CROWD):
            sock = connect(cluster)
            sockets.append(sock)
            send(sock, parts[number % len(parts)])
        wait_for("the crowd is gone", lambda: files_of(cluster.coordinator) < idle + 10, 30)
    for sock in sockets:
        sock.close()


def trickles(cluster):
    """A head, a second one on a connection that had an answer, and a body: a byte now and then does not keep them open."""
    slow = {"head": GET + b"X: ", "next head": GET + b"\r\n" + GET, "body": QUERY + b"Content-Length: 100000\r\n\r\n"}
    sockets = {name: connect(cluster) for name in slow}
    for name, begin in slow.items():
        sockets[name].sendall(begin)
    until = time.monotonic() + 20
    while sockets:
        assert time.monotonic() < until, f"still open: {list(sockets)}"
        time.sleep(0.2)
        for name, sock in list(sockets.items()):
            try:
                sock.sendall(b"a")
            except (BrokenPipeError, ConnectionResetError):
                sock.close()
                del sockets[name]


def slow_readers(cluster):
    """Answers without end that nobody reads: their children end, and a query of another is answered."""
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000) SELECT hex(zeroblob(50000)) FROM n"
    body = json.dumps({"sql": sql}).encode()
    sockets = [connect(cluster) for _ in range(20)]
    with GoodClient(cluster):
        for sock in sockets:
            sock.sendall(QUERY + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        wait_for("a query is answered", lambda: cluster.try_cli("query", "client_a", "SELECT 1").returncode == 0, 60)
    for sock in sockets:
        sock.close()


def main_job(cluster):
    cluster.cli("upload", "client_a", TENANT / "sample.csv")
    cluster.cli("run", "now", "client_a", "--wait")
    checks.rows_equal(cluster, "client_a", TENANT / "dataset.json", [TENANT / "sample.csv"])


def refusals(cluster):
    return cluster.coordinator.log.read_text(errors="replace").count('event="connection refused"')


def main():
    allow_files(2 * CROWD)
    with Cluster(workers=1, settings=SETTINGS, environment=FREES_AT_ONCE) as cluster:
        cluster.start()
        cluster.cli("tenant", "apply", TENANT)
        main_job(cluster)
        before, begun = cluster.coordinator.resident_kb(), time.monotonic()
        for attack in (odd_requests, trickles, crowd, slow_readers):
            attack(cluster)
            print(f"{attack.__name__}: the coordinator has {cluster.coordinator.resident_kb() - before} KiB more than at first")
        main_job(cluster)
        grown = cluster.coordinator.resident_kb() - before
        assert grown < GROWTH_KB, f"the coordinator grew by {grown} KiB"
        told, most = refusals(cluster), (time.monotonic() - begun) / 10 + 1
        assert 1 <= told <= most, f"{told} refusals are logged in {most * 10:.0f} s"
        wait_for("all is well", lambda: cluster.json("status")["healthy"])
    print("hostile clients were refused, and nobody else noticed")


if __name__ == "__main__":
    main()
