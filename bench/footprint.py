#!/usr/bin/env python3
"""What Millrace costs when it does nothing, when a file is large, and how soon a run moves its first row.

usage: bench/footprint.py [--large-mib N] [--starts N]      (default 1,024 MiB, 20 starts; needs build/release)

Prints: resident memory of an idle coordinator and worker; private memory of an idle sink task; the peak of every
process while a large file is ingested; and, over a number of runs, the time from the coordinator's decision (its log
line "task assigned" of the source) to the first commit on the bus (the bell file's time).
"""
import argparse
import calendar
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("MR_BUILD", str(ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "tests"))
from harness.cluster import Cluster, wait_for  # noqa: E402


def status_mib(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def private_mib(pid):
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1])
    return total / 1024


def tasks_of(worker):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == worker:
                found.append(int(entry.name))
        except OSError:
            pass
    return found


class Peaks(threading.Thread):
    """Highest resident memory of coordinator, worker and tasks, sampled."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.peaks, self.over = cluster, {}, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.note("coordinator", self.cluster.coordinator.child.pid)
            for worker in self.cluster.workers:
                self.note("worker", worker.child.pid)
                for pid in tasks_of(worker.child.pid):
                    self.note("task", pid)
            time.sleep(0.02)

    def note(self, name, pid):
        try:
            self.peaks[name] = max(self.peaks.get(name, 0.0), status_mib(pid, "VmHWM"))
        except OSError:
            pass


def tenant(folder):
    """Tenant A without its program, with room for large files."""
    shutil.copytree(ROOT / "tenants/client_a", folder, ignore=shutil.ignore_patterns("program", "*.csv"))
    dataset = json.loads((folder / "dataset.json").read_text())
    dataset["max_file_size_mb"] = 4096
    (folder / "dataset.json").write_text(json.dumps(dataset))


def generate(path, rows):
    subprocess.run([ROOT / "tenants/generate.py", "a", "--rows", str(rows), "--seed", "3", "--output", path], check=True)


def show_idle(cluster):
    time.sleep(3)  # what start-up needed has been given back
    print(f"idle coordinator {status_mib(cluster.coordinator.child.pid, 'VmRSS'):6.1f} MiB resident, "
          f"{private_mib(cluster.coordinator.child.pid):.1f} private")
    print(f"idle worker      {status_mib(cluster.workers[0].child.pid, 'VmRSS'):6.1f} MiB resident, "
          f"{private_mib(cluster.workers[0].child.pid):.1f} private")


def show_idle_task(cluster, folder):
    """A sink that has delivered all and waits: run by hand, so that nobody ends it."""
    dataset = json.loads((ROOT / "tenants/client_a/dataset.json").read_text())
    uid = cluster.json("tenant", "show", "client_a")["uid"]
    config = folder / "sink.properties"
    values = {"kind": "sink", "name": "bench", "task": 0, "epoch": 1, "tenant": "client_a", "tenant.uid": uid,
              "dataset": dataset["name"], "bus": "embedded", "bus.dir": cluster.data / "bus",
              "topic": f"client_a.{dataset['name']}", "topic.partitions": 1, "schema": json.dumps(dataset["schema"]),
              "schema.id": 1, "primary.key": json.dumps(dataset["primary_key"]), "connector.class": "sqlite",
              "store.dir": folder / "store", "key.space": "bench", "table": "bench"}
    config.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    with open(folder / "sink.log", "w") as log:
        child = subprocess.Popen([ROOT / "build/release/task/millrace-task", "--config", config], stderr=log)
    time.sleep(5)
    print(f"idle sink task   {status_mib(child.pid, 'VmRSS'):6.1f} MiB resident, {private_mib(child.pid):.1f} private")
    child.terminate()
    child.wait()


def show_latency(cluster, folder, starts):
    """Decision to first commit, in ms: the clock of both is the wall clock of this machine."""
    small, waits = folder / "small.csv", []
    generate(small, 100)
    log = cluster.folder / "coordinator.log"
    bell = cluster.data / "bus/client_a.bell"
    for _ in range(starts):
        cluster.cli("upload", "client_a", small)
        before, size = bell.stat().st_mtime_ns if bell.exists() else 0, log.stat().st_size
        cluster.cli("run", "now", "client_a")
        wait_for("first commit", lambda: bell.exists() and bell.stat().st_mtime_ns > before)
        first = bell.stat().st_mtime_ns / 1e6
        decided = decision_ms(log, size)
        waits.append(first - decided)
        cluster.cli("run", "now", "client_a", "--wait")
    print(f"decision to first commit of a source, {starts} times: median {statistics.median(waits):.1f} ms, "
          f"maximum {max(waits):.1f} ms")


def decision_ms(log, start):
    def find():
        text = log.read_bytes()[start:].decode(errors="replace")
        return re.search(r'time=(\S+)Z level=info event="task assigned".* connector=[^ ]*-source ', text)
    stamp = wait_for("the log line of the decision", find).group(1)
    whole, millis = stamp.split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000 + int(millis)


def show_large(cluster, folder, mib):
    large = folder / "large.csv"
    generate(large, mib * 1024 * 1024 // 65)
    peaks = Peaks(cluster)
    peaks.start()
    begun = time.monotonic()
    cluster.cli("upload", "client_a", large, timeout=900)
    cluster.cli("run", "now", "client_a", "--wait", timeout=1800)
    peaks.over.set()
    peaks.join()
    print(f"{large.stat().st_size / 2**20:.0f} MiB file, {time.monotonic() - begun:.0f} s; peak resident: "
          + ", ".join(f"{name} {peak:.1f} MiB" for name, peak in sorted(peaks.peaks.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large-mib", type=int, default=1024)
    parser.add_argument("--starts", type=int, default=20)
    options = parser.parse_args()
    with Cluster(workers=1) as cluster:
        folder = cluster.folder / "bench"
        folder.mkdir()
        tenant(folder / "tenant")
        cluster.start()
        show_idle(cluster)
        cluster.cli("tenant", "apply", folder / "tenant")
        show_latency(cluster, folder, options.starts)
        show_idle_task(cluster, folder)
        if options.large_mib:
            show_large(cluster, folder, options.large_mib)


if __name__ == "__main__":
    main()
