"""Stray and hostile peers where workers report, over ipc and over tcp: garbage, huge lengths, other versions, a crowd of
connections, and one that poses as a living worker. Each is refused, the log tells it once, memory stays flat, and the
workers and their runs do not notice."""
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import FREES_AT_ONCE, ROOT, Cluster, free_port, wait_for  # noqa: E402
from harness.many_peers import GoodClient, allow_files, files_of, send  # noqa: E402

LONG = True
TENANT = ROOT / "tenants/client_a"
CROWD = 10000
GROWTH_KB = 64 * 1024
REQ, PUB = 0x30, 0x20
SILENT_S = 12  # until one that says nothing is closed


# --- what nng and protobuf put on the wire --------------------------------------------------------------------------

def greeting(protocol):
    return b"\0SP\0" + struct.pack(">HH", protocol, 0)


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def message(**fields):
    """Fields by number (f1=...): text, a number, or a message within."""
    out = b""
    for name, value in fields.items():
        number = int(name[1:])
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def report(worker, incarnation, protocol=1):
    return message(f1=protocol, f2=message(f1=worker, f2=incarnation, f3=1, f4="elsewhere", f7=1000, f8=1 << 30))


def watch(worker, incarnation):
    return message(f1=1, f3=message(f1=worker, f2=incarnation))


class Peer:
    """One that speaks to the coordinator's RPC address."""

    def __init__(self, url):
        self.ipc = url.startswith("ipc://")
        if self.ipc:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 30, 0))
            self.sock.connect(url[6:])  # waits while 128 others wait; a timeout of Python's would not
            self.sock.settimeout(30)
        else:
            host, port = url[6:].rsplit(":", 1)
            self.sock = socket.create_connection((host, int(port)), timeout=30)

    def frame(self, body, length=None):
        return (b"\1" if self.ipc else b"") + struct.pack(">Q", len(body) if length is None else length) + body

    def receive(self, count):
        received = b""
        while len(received) < count:
            part = self.sock.recv(count - len(received))
            if not part:
                return None
            received += part
        return received

    def ask(self, body):
        """The answer to a request, as it is packed."""
        self.sock.sendall(greeting(REQ) + self.frame(b"\x80\0\0\1" + body))
        assert self.receive(8) == greeting(REQ + 1)
        head = self.receive(9 if self.ipc else 8)
        return self.receive(struct.unpack(">Q", head[-8:])[0])[4:]

    def is_closed(self):
        try:
            while self.sock.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


# --- attacks --------------------------------------------------------------------------------------------------------

def odd_bytes(cluster, url):
    """What is none of our protocol ends the connection, or is refused by its name."""
    frame = Peer(url).frame
    bodies = {"HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "zeroes": bytes(100), "another protocol": greeting(PUB),
              "two greetings": greeting(REQ) * 2, "a length of 2^63": greeting(REQ) + frame(b"", 1 << 63),
              "2 MiB": greeting(REQ) + frame(bytes(2 << 20)), "no request id": greeting(REQ) + frame(b"\1\2\3")}
    for name, sent in bodies.items():
        peer = Peer(url)
        send(peer.sock, sent)
        assert peer.is_closed(), name
    for body in (b"", b"\xff" * 1000, message(f1=1), message(f1=1, f2=b"", f3=b""), report("a\0b", "c"), report("", ""),
                 report("w" * 300, "c"), message(f1=1, f2=message(f1="w", f2="i", f4="h", f5=(1 << 64) - 1))):
        assert b"ack" not in (answer := Peer(url).ask(body)) and len(answer) > 10, (body, answer)
    answer = Peer(url).ask(report("worker-9", "life", protocol=7))
    assert b"request of protocol 7, this is protocol 1" in answer, answer
    assert b"has not reported yet" in Peer(url).ask(watch("worker-9", "unknown"))


def impostors(cluster, url):
    """Nobody is a living worker but that worker, nobody speaks for its incarnation, and it goes on as before."""
    before = cluster.json("worker", "list")
    incarnation = before[0]["incarnation"]
    assert b"worker-1 is alive already" in Peer(url).ask(report("worker-1", "impostor"))
    if url.startswith("ipc://"):  # on tcp all of one machine are one
        for body in (report("worker-1", incarnation), report("worker-2", incarnation), watch("worker-1", incarnation)):
            assert f"incarnation {incarnation} is of process".encode() in Peer(url).ask(body)
    after = cluster.json("worker", "list")
    assert [(w["worker"], w["incarnation"], w["state"]) for w in after] == [("worker-1", incarnation, "alive")], after


def crowd(cluster, url):
    """Ten thousand connections that stay: silent, with half a greeting, with one, with a message that does not come."""
    frame = Peer(url).frame
    parts = (b"", b"\0SP", greeting(REQ), greeting(REQ) + frame(b"\x80\0\0\1", 1 << 20))
    idle, peers = files_of(cluster.coordinator), []
    with GoodClient(cluster):
        for number in range(CROWD):
            peers.append(Peer(url))
            send(peers[-1].sock, parts[number % len(parts)])
        states = {w["state"] for w in cluster.json("worker", "list")}
        assert states == {"alive"}, states
        wait_for("the crowd is gone", lambda: files_of(cluster.coordinator) < idle + 10, 3 * SILENT_S)
    for peer in peers:
        peer.sock.close()


def main_job(cluster):
    cluster.cli("upload", "client_a", TENANT / "sample.csv")
    cluster.cli("run", "now", "client_a", "--wait")
    checks.rows_equal(cluster, "client_a", TENANT / "dataset.json", [TENANT / "sample.csv"])


def refusals(cluster):
    text = cluster.coordinator.log.read_text(errors="replace")
    return text.count('refused" error=')


def attack(transport):
    with Cluster(workers=0, environment=FREES_AT_ONCE) as cluster:
        url = f"ipc://{cluster.data}/rpc.sock"
        if transport == "tcp":
            url = f"tcp://127.0.0.1:{free_port()}"
            with open(cluster.folder / "coordinator.properties", "a", encoding="utf-8") as properties:
                properties.write(f"rpc={url}\n")
        cluster.add_worker("worker-1", coordinator=url)
        cluster.start()
        cluster.cli("tenant", "apply", TENANT)
        main_job(cluster)
        before, begun = cluster.coordinator.resident_kb(), time.monotonic()
        for one in (odd_bytes, impostors, crowd):
            one(cluster, url)
            print(f"{transport} {one.__name__}: the coordinator has {cluster.coordinator.resident_kb() - before} KiB more than at first")
        main_job(cluster)
        grown = cluster.coordinator.resident_kb() - before
        assert grown < GROWTH_KB, f"the coordinator grew by {grown} KiB"
        told, most = refusals(cluster), 2 * ((time.monotonic() - begun) / 10 + 1)
        assert 1 <= told <= most, f"{told} refusals are logged"
        assert cluster.coordinator.starts == cluster.workers[0].starts == 1
        assert "replaced" not in cluster.workers[0].log.read_text(errors="replace")
        wait_for("all is well", lambda: cluster.json("status")["healthy"])


def main():
    allow_files(2 * CROWD)
    for transport in ("ipc", "tcp"):
        attack(transport)
    print("hostile peers were refused, and no worker noticed")


if __name__ == "__main__":
    main()
