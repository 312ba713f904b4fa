"""Uploads as a hostile or unlucky client sends them: too large, cut off, repeated, badly named, onto a full disk. Each is
stored once and whole, or refused with its reason and leaves nothing; what is acknowledged is what lies on the disk.

The full disk is a small tmpfs in a mount namespace of its own; where that is not allowed, the rest is still run.
"""
import concurrent.futures
import hashlib
import json
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import own_mounts  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402
from harness.rest import call, form, raw_target  # noqa: E402

TENANT, LIMIT = "uploads", 1 << 20
PLAIN = {"Content-Type": "text/csv"}


def apply_tenant(cluster, tenant=TENANT):
    folder = cluster.folder / f"tenant-{tenant}"
    folder.mkdir(exist_ok=True)
    (folder / "agreement.json").write_text(json.dumps({"client": tenant, "schedule": "0 0 1 1 *"}))
    schema = {"type": "record", "name": f"rows_{tenant}", "fields": [{"name": "id", "type": "long"}]}
    (folder / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": "uploads", "primary_key": ["id"], "max_file_size_mb": 1,
        "schema": schema}))
    cluster.cli("tenant", "apply", folder)


def waiting(cluster, tenant=TENANT):
    return {file["name"] for file in call(cluster, "GET", f"/tenant/{tenant}")[1]["files"]}


def left_in_incoming(cluster):
    return sorted(path.name for path in (cluster.staging / "incoming").iterdir())


def files_on_disk(cluster, tenant=TENANT):
    return {path.name for path in (cluster.staging / "tenants" / tenant / "in").glob("*")}


class Uploads:
    """Remembers what was acknowledged; in/ must hold exactly that."""

    def __init__(self, cluster):
        self.cluster, self.acknowledged, self.refusals = cluster, {}, 0

    def send(self, name, body=b"id\n1\n", headers=None, query=""):
        return call(self.cluster, "POST", f"/upload-file/{TENANT}?name={name}{query}", body, {**PLAIN, **(headers or {})})

    def note(self, answer):
        status, body = answer
        assert status == 201, answer
        assert self.acknowledged.setdefault(body["file"], body["sha256"]) == body["sha256"], answer
        return body

    def refused(self, status, message, answer):
        assert answer[0] == status and message in answer[1]["message"], (status, message, answer)
        self.refusals += 1
        self.check()

    def check(self):
        folder = self.cluster.staging / "tenants" / TENANT / "in"
        stored = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files_on_disk(self.cluster)}
        assert stored == self.acknowledged, (stored, self.acknowledged)
        assert waiting(self.cluster) == set(self.acknowledged)
        wait_for("incoming/ is empty", lambda: not left_in_incoming(self.cluster))


def names(uploads):
    for name, problem in ((b"..", "begins with a dot"), (b".hidden", "begins with a dot"), (b"a%2Fb", "byte 2 is a /"),
                          (b"..%2Fescape", "begins with a dot"), (b"a%5Cb", "byte 2 is a \\"),
                          (b"a%0Ab", "byte 2 is a control character (0x0a)"), (b"%7F", "byte 1 is a control character"),
                          (b"a%C3%28", "byte 2 (0xc3) is not valid UTF-8"), (b"%ED%A0%80", "byte 1 (0xed) is not valid UTF-8"),
                          (b"a%E2%82", "byte 2 (0xe2) is not valid UTF-8"), (b"x" * 5000, "it has 5000 bytes, not 1 to 200"),
                          (b"a%00b", "with ?name=FILE"), (b"", "with ?name=FILE")):
        answer = raw_target(uploads.cluster, "POST", f"/upload-file/{TENANT}?name=".encode() + name, b"id\n1\n", PLAIN)
        uploads.refused(400, problem, answer)
    for name, problem in ((b"..", "begins with a dot"), (b"a/b", "byte 2 is a /"), (b"a\0b", "holds a NUL"),
                          (b"a\tb", "byte 2 is a control character"), (b"\xff", "byte 1 (0xff) is not valid UTF-8"),
                          (b"x" * 5000, "it has 5000 bytes")):
        headers, body = form(("file", name, b"id\n1\n"))
        uploads.refused(400, problem, call(uploads.cluster, "POST", f"/upload-file/{TENANT}", body, headers))
    for name in ("r%C3%A4ume%20und%20%22zeichen%22.csv", "x" * 200):
        uploads.note(uploads.send(name))
    uploads.refused(404, 'no tenant "nobody"', call(uploads.cluster, "POST", "/upload-file/nobody?name=a", b"x", PLAIN))
    uploads.refused(404, 'no dataset "other"', uploads.send("a.csv", query="&dataset=other"))
    first, second = (uploads.note(uploads.send("same.csv", b"id\n%d\n" % n))["file"] for n in range(2))
    assert first == "same.csv" and second == "same-2.csv", (first, second)
    uploads.check()


def chunked(cluster, path, chunks, headers=None):
    """A body without Content-Length; the status."""
    with socket.create_connection(("127.0.0.1", cluster.port), timeout=60) as connection:
        lines = {"Host": "localhost", "Transfer-Encoding": "chunked", "Connection": "close", **PLAIN, **(headers or {})}
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        connection.sendall(head.encode())
        for chunk in chunks:
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        connection.sendall(b"0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def sizes(uploads):
    path = f"/upload-file/{TENANT}?name="
    block = b"1\n" * 32768
    whole = [block] * (LIMIT // len(block))
    uploads.refused(413, "larger than max_file_size_mb of dataset rows allows: 1 MiB",
                    uploads.send("big.csv", b"".join(whole) + b"1"))
    uploads.refused(413, "larger than max_file_size_mb", chunked(uploads.cluster, path + "big.csv", [*whole, b"1"]))
    headers, body = form(("file", "big.csv", b"".join(whole) + b"1"))
    uploads.refused(413, "larger than max_file_size_mb", call(uploads.cluster, "POST", f"/upload-file/{TENANT}", body, headers))
    # At once by its length: the answer comes although no byte of the body was sent.
    with socket.create_connection(("127.0.0.1", uploads.cluster.port), timeout=30) as connection:
        connection.sendall(f"POST {path}huge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n".encode())
        assert b" 413 " in connection.recv(65536).partition(b"\r\n")[0]
    uploads.note(uploads.send("whole.csv", b"".join(whole)))
    uploads.note(chunked(uploads.cluster, path + "whole-chunked.csv", whole))
    uploads.note(uploads.send("empty.csv", b""))
    uploads.check()


def cut_connections(uploads):
    """In the middle of a body, of a form, of a chunk; a key whose first try was cut is free for the next one."""
    path = f"/upload-file/{TENANT}"
    headers, body = form(("file", "cut.csv", b"id\n" + b"1\n" * 50000))
    boundary = headers["Content-Type"]
    requests = {
        "body": f"POST {path}?name=cut.csv HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
                "Idempotency-Key: cut-1\r\n\r\nid\n1\n".encode(),
        "form": f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nContent-Type: {boundary}\r\n"
                "Idempotency-Key: cut-2\r\n\r\n".encode() + body[:-8],
        "chunk": f"POST {path}?name=cut.csv HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\nid\n1".encode(),
        "bodiless": f"POST {path}?name=cut.csv HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n".encode(),
        "head": f"POST {path}?name=cut.csv HTTP/1.1\r\nHost: loc".encode()}
    # The end often arrives together with the last bytes, which must not hide it.
    for request in [*requests.values()] * 10:
        for end in ("closed", "reset"):
            with socket.create_connection(("127.0.0.1", uploads.cluster.port), timeout=30) as connection:
                connection.sendall(request)
                if end == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    uploads.check()
    again = uploads.note(uploads.send("cut.csv", b"id\n2\n", {"Idempotency-Key": "cut-1"}))
    assert again["size_bytes"] == 5, again
    uploads.check()


def repeated(uploads):
    """One key is one file: one after the other, at the same time, and through a restart of the coordinator."""
    body = b"id\n" + b"7\n" * 100000

    def send(key, query="?name=once.csv"):
        return call(uploads.cluster, "POST", f"/upload-file/{TENANT}{query}", body, {**PLAIN, "Idempotency-Key": key})

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, ["at-once"] * 20))
    assert len({uploads.note(answer)["upload"] for answer in answers}) == 1, answers
    uploads.check()
    uploads.cluster.coordinator.kill()
    wait_for("the coordinator is back", uploads.cluster.ready)
    assert send("at-once") == answers[0]
    uploads.check()
    apply_tenant(uploads.cluster, "again")
    deleted = [send_to_again(uploads.cluster, body) for _ in range(2)]
    assert deleted[0] == deleted[1] and deleted[0][0] == 201, deleted
    uploads.cluster.cli("tenant", "delete", "again", "--purge")
    wait_for("it is gone", lambda: uploads.cluster.try_cli("tenant", "show", "again").returncode == 3)
    apply_tenant(uploads.cluster, "again")
    assert send_to_again(uploads.cluster, body)[1]["upload"] != deleted[0][1]["upload"]
    assert files_on_disk(uploads.cluster, "again") == {"once.csv"}


def send_to_again(cluster, body):
    return call(cluster, "POST", "/upload-file/again?name=once.csv", body, {**PLAIN, "Idempotency-Key": "of-a-former-life"})


def killed_on_the_way(uploads):
    """What a kill between any two steps left is one file, or none; sent again under its key it is one."""
    for point in ("upload_before_fsync", "upload_after_fsync", "upload_stored_unrecorded", "upload_recorded", "upload_renamed"):
        uploads.cluster.coordinator.stop()
        uploads.cluster.coordinator.environment["MR_FAULT_KILL"] = f"{point}:1"
        uploads.cluster.coordinator.start()
        wait_for("the coordinator is back", uploads.cluster.ready)
        try:
            answer = uploads.send(f"{point}.csv", headers={"Idempotency-Key": point})
            raise AssertionError(f"{point} was not reached: {answer}")
        except OSError:
            pass
        uploads.cluster.coordinator.child.wait(30)
        del uploads.cluster.coordinator.environment["MR_FAULT_KILL"]
        uploads.cluster.coordinator.start(supervise=True)
        wait_for("the coordinator is back", uploads.cluster.ready)
        uploads.note(uploads.send(f"{point}.csv", headers={"Idempotency-Key": point}))
        uploads.check()


def a_full_disk(uploads):
    """507 with the reason, as a body and as a form; nothing of it stays, and all is well when there is room again."""
    filler = uploads.cluster.staging / "filler"
    block = b"1\n" * 32768
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(b"x" * 65536)
        except OSError:
            pass
        out.truncate(out.tell() - 400000)
    body = block * 15
    message = 'file "full.csv" of tenant uploads is not stored, send it again later: '
    uploads.refused(507, message, uploads.send("full.csv", body, {"Idempotency-Key": "full"}))
    headers, formed = form(("file", "full.csv", body))
    uploads.refused(507, message, call(uploads.cluster, "POST", f"/upload-file/{TENANT}", formed, headers))
    uploads.refused(507, message, chunked(uploads.cluster, f"/upload-file/{TENANT}?name=full.csv", [block] * 15))
    filler.unlink()
    uploads.note(uploads.send("full.csv", body, {"Idempotency-Key": "full"}))
    uploads.check()


def main():
    small = own_mounts.enter()
    with Cluster(workers=0) as cluster:
        if small:
            cluster.staging.mkdir(parents=True)
            own_mounts.tmpfs(cluster.staging, "16m")
        try:
            cluster.start(supervise=True)
            apply_tenant(cluster)
            uploads = Uploads(cluster)
            names(uploads)
            sizes(uploads)
            cut_connections(uploads)
            repeated(uploads)
            if small:
                a_full_disk(uploads)
            killed_on_the_way(uploads)
            cluster.coordinator.stop()
        finally:
            if small:
                own_mounts.unmount(cluster.staging)
    print(f"{len(uploads.acknowledged)} files lie where they were acknowledged, {uploads.refusals} uploads were refused"
          + ("" if small else "; no mount of our own: a full disk was left out"))


if __name__ == "__main__":
    main()
