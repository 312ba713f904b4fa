"""A program that leaves very many files in out/: as many as are allowed arrive, one more is refused, in flat memory.

MR_FILES says how many a program makes that makes too many (100,001; a million takes minutes, most of them the program's).
"""
import json
import os
import pathlib
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks, own_mounts  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402

LONG = True
TENANT, MOST = "many", 100_000
PROGRAM = """#!/usr/bin/env python3
import os
out = os.environ["SOURCE_PATH"] + "/" + os.environ["CLIENT_ID"]
(name,) = os.listdir(out + "/in")
for i in range(int(name.split(".")[0])):
    fd = os.open(f"{out}/out/{i}.csv", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"id\\n%d\\n" % i)
    os.close(fd)
"""


def write_tenant(folder):
    (folder / "program").mkdir(parents=True)
    (folder / "agreement.json").write_text(json.dumps({
        "client": TENANT, "schedule": "0 0 1 1 *", "data_retention_period_days": 1, "attempts": 1,
        "resources": {"requests": {"memory": "16Mi", "cpu": "100m"}, "limits": {"memory": "512Mi", "cpu": "1000m"}}}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": TENANT, "csv.first.row.as.header": True,
        "schema": {"type": "record", "name": "numbered", "fields": [{"name": "id", "type": "long"}]},
        "primary_key": ["id"]}))
    run = folder / "program/run"
    run.write_text(PROGRAM)
    run.chmod(0o755)


class Memory:
    """The most that a task of the worker has had, in MiB."""

    def __init__(self, worker):
        self.worker, self.most, self.over = worker, 0, threading.Event()
        self.sampler = threading.Thread(target=self.sample, daemon=True)

    def __enter__(self):
        self.sampler.start()
        return self

    def __exit__(self, *problem):
        self.over.set()
        self.sampler.join()

    def sample(self):
        children = pathlib.Path(f"/proc/{self.worker.child.pid}/task/{self.worker.child.pid}/children")
        while not self.over.wait(0.1):
            for pid in children.read_text().split():
                try:
                    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                except OSError:
                    continue
                peaks = [int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")]
                self.most = max([self.most, *peaks])


def run(cluster, folder, count):
    """The run of a program that makes so many files."""
    path = folder / f"{count}.csv"
    path.write_text("id\n")
    cluster.cli("upload", TENANT, path)
    begun = time.monotonic()
    with Memory(cluster.workers[0]) as memory:
        cluster.cli("run", "now", TENANT)
        over = wait_for(f"{count} files", lambda: (run := cluster.json("run", "list", TENANT)[0])["finished_at"] and run, 900)
    print(f"{count} files: {over['state']} after {time.monotonic() - begun:.1f} s, a task had at most {memory.most} MiB",
          flush=True)
    return over


def main():
    with tempfile.TemporaryDirectory() as name, Cluster(workers=1) as cluster:
        folder = pathlib.Path(name)
        cluster.data.mkdir()
        own_mounts.tmpfs(cluster.data, "8g")
        try:
            cluster.start()
            write_tenant(folder / "tenant")
            cluster.cli("tenant", "apply", folder / "tenant")
            too_many = run(cluster, folder, int(os.environ.get("MR_FILES", MOST + 1)))
            assert too_many["state"] == "FAILED" and f"more than {MOST} files" in too_many["reason"], too_many
            most = run(cluster, folder, MOST)
            assert most["state"] == "COMPLETED", most
            sums = checks.ledger_sums(cluster, TENANT)
            assert sums["read"] == sums["delivered"] == MOST, sums
            with sqlite3.connect(f"file:{cluster.data}/store/{TENANT}/{TENANT}.db?mode=ro", uri=True) as db:
                assert db.execute("SELECT count(*), min(id), max(id) FROM numbered").fetchone() == (MOST, 0, MOST - 1)
            cluster.close()
        finally:
            own_mounts.unmount(cluster.data)
    print(f"{MOST} files arrived, more were refused")


if __name__ == "__main__":
    own_mounts.run(main)
