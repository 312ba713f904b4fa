"""A hundred uploads of 10 MB at once while runs go on: the coordinator's memory stays flat, every byte is stored or its
file refused, every acknowledged hash is that of the file on the disk and of what the program is given, and the rows of
the runs that went on meanwhile add up."""
import concurrent.futures
import hashlib
import http.client
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.rest import call  # noqa: E402

LONG = True
UPLOADS, SIZE, BLOCK = 100, 10_000_000, 100_000
TOO_LARGE = range(0, UPLOADS, 10)  # these send more than max_file_size_mb
ROWS = 500
# What it may grow by: of each connection two buffers, and what the sanitizer keeps of freed memory.
GROWTH_KIB = 64 * 1024

PROGRAM = """#!/bin/sh
set -e
cd "$SOURCE_PATH/$CLIENT_ID"
echo name,size_bytes,sha256 >out/sums.csv
for file in in/*; do
    echo "$(basename "$file"),$(stat -c %s "$file"),$(sha256sum <"$file" | cut -d' ' -f1)" >>out/sums.csv
done
"""


def write_tenant(folder, tenant, dataset, program=None, **more):
    folder.mkdir()
    (folder / "agreement.json").write_text(json.dumps({"client": tenant, "schedule": "0 0 1 1 *"}))
    (folder / "dataset.json").write_text(json.dumps({"file_type": "csv", "key_space": "uploads", **dataset, **more}))
    if program is not None:
        (folder / "program").mkdir()
        (folder / "program/run").write_text(program)
        (folder / "program/run").chmod(0o755)
    return folder


def schema(record, **columns):
    return {"type": "record", "name": record, "fields": [{"name": name, "type": kind} for name, kind in columns.items()]}


def blocks(number, size):
    """The bytes of a file: no two blocks of any file are the same."""
    for at in range(0, size, BLOCK):
        yield hashlib.shake_128(b"%d:%d" % (number, at)).digest(min(BLOCK, size - at))


def upload(cluster, number):
    """Streamed, by turns with and without Content-Length; status, answer and the hash of what was sent."""
    size = 12 << 20 if number in TOO_LARGE else SIZE
    digest = hashlib.sha256()
    connection = http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=300)
    headers = {"Content-Type": "application/octet-stream", "Expect": "100-continue"}
    chunked = number % 2 == 0
    if not chunked:
        headers["Content-Length"] = str(size)

    def body():
        for block in blocks(number, size):
            digest.update(block)
            yield block

    try:
        connection.request("POST", f"/upload-file/large?name=file-{number}", body(), headers, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), digest.hexdigest()
    finally:
        connection.close()


def peak_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


class RunsMeanwhile:
    """Uploads and runs of another tenant, one after the other, until it is stopped."""

    def __init__(self, cluster):
        self.cluster, self.files, self.over = cluster, [], threading.Event()
        self.folder = write_tenant(cluster.folder / "small", "small", {
            "name": "rows", "primary_key": ["id"], "schema": schema("small", id="long", text="string")})
        cluster.cli("tenant", "apply", self.folder)
        self.thread = threading.Thread(target=self.go_on)

    def go_on(self):
        while not self.over.is_set() or len(self.files) < 2:
            path = self.folder / f"rows-{len(self.files)}.csv"
            first = len(self.files) * ROWS
            path.write_text("id,text\n" + "".join(f"{first + i},{'x' * 50}\n" for i in range(ROWS)))
            self.cluster.cli("upload", "small", path)
            self.files.append(path)
            self.cluster.cli("run", "now", "small", "--wait")

    def check(self):
        checks.rows_equal(self.cluster, "small", self.folder / "dataset.json", self.files)
        checks.ledger_exact(self.cluster, "small", self.folder / "dataset.json", self.files)


def main():
    quarantine = {"ASAN_OPTIONS": "quarantine_size_mb=16:detect_leaks=1"}
    with Cluster(workers=1, environment=quarantine) as cluster:
        cluster.start()
        cluster.cli("tenant", "apply", write_tenant(cluster.folder / "large", "large", {
            "name": "sums", "primary_key": ["name"], "max_file_size_mb": 11,
            "schema": schema("sums", name="string", size_bytes="long", sha256="string")}, PROGRAM))
        meanwhile = RunsMeanwhile(cluster)
        before = peak_kib(cluster.coordinator.child.pid)
        meanwhile.thread.start()
        with concurrent.futures.ThreadPoolExecutor(UPLOADS) as pool:
            answers = list(pool.map(lambda number: upload(cluster, number), range(UPLOADS)))
        meanwhile.over.set()
        meanwhile.thread.join()
        growth = peak_kib(cluster.coordinator.child.pid) - before
        kept = {}
        for number, (status, answer, sent) in enumerate(answers):
            assert status == (413 if number in TOO_LARGE else 201), (number, status, answer)
            if status == 201:
                assert answer["sha256"] == sent and answer["size_bytes"] == SIZE, (number, answer)
                kept[answer["file"]] = sent
        on_disk = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                   for path in (cluster.staging / "tenants/large/in").iterdir()}
        assert on_disk == kept, set(on_disk) ^ set(kept)
        assert not list((cluster.staging / "incoming").iterdir())
        assert growth < GROWTH_KIB, f"the coordinator grew by {growth} KiB"
        meanwhile.check()
        cluster.cli("run", "now", "large", "--wait", timeout=300)
        stored = {row["name"]: row["sha256"] for row in cluster.json("query", "large", "SELECT * FROM sums")}
        assert stored == kept, set(stored.items()) ^ set(kept.items())
        assert len(call(cluster, "GET", "/tenant/large")[1]["files"]) == 0
    print(f"{len(kept)} files of {SIZE} bytes are stored, {UPLOADS - len(kept)} were refused; the coordinator grew by "
          f"{growth // 1024} MiB; {len(meanwhile.files)} runs went on meanwhile")


if __name__ == "__main__":
    main()
