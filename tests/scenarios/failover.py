"""A worker that is killed, one that freezes, and one that freezes with its task: the sink goes on elsewhere.

The sink that runs on the interrupted worker is followed until the same connector is RUNNING on the other one in a
higher epoch. A frozen task that wakes up after its replacement has delivered finds itself fenced: no row is lost or
doubled.
"""
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import ROOT, Cluster, wait_for  # noqa: E402

ALONE = True  # it measures how long a takeover takes
ROWS = 200_000
TENANT = "client_a"


def sink_task(cluster):
    """The tenant's sink as `run show` tells it, once it has been placed."""
    run = cluster.json("run", "list", TENANT)[0]
    tasks = cluster.json("run", "show", TENANT, run["run_id"])["tasks"]
    return next((task for task in tasks if task["kind"] == "sink" and task["worker"]), None)


def running(task):
    return task if task and task["state"] == "RUNNING" else None


def done(cluster):
    """The newest run shows no tasks any more: what was left took the new sink less time than a look."""
    return cluster.json("run", "list", TENANT)[0]["state"] == "COMPLETED"


def delivered(cluster):
    return checks.ledger_sums(cluster, TENANT)["delivered"]


def sink_process(cluster, worker):
    """Pid of the worker's task that has the store open."""
    store = str(cluster.data / "store")
    for pid in map(int, pathlib.Path(f"/proc/{worker.child.pid}/task/{worker.child.pid}/children").read_text().split()):
        try:
            if any(os.readlink(fd).startswith(store) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()):
                return pid
        except OSError:
            pass
    return None


def moved(cluster, before):
    now = sink_task(cluster)
    return now if now and now["connector"] == before["connector"] and now["worker"] != before["worker"] else None


def interrupt(cluster, what, seconds, freeze, placed=lambda: None):
    """Does `freeze` to the worker of the running sink; (the worker, what `freeze` returned) once the sink runs elsewhere.
    Calls `placed` when it has been placed there."""
    already = delivered(cluster)
    wait_for("the sink delivers", lambda: delivered(cluster) > already)
    before = wait_for("the sink runs", lambda: running(sink_task(cluster)))
    worker = next(w for w in cluster.workers if w.name == before["worker"])
    begun = time.monotonic()
    frozen = freeze(worker)
    now = wait_for("the sink is placed elsewhere", lambda: moved(cluster, before), 20)
    placed()
    wait_for("the sink runs elsewhere, or has done so", lambda: running(moved(cluster, before)) or done(cluster), 20)
    took = time.monotonic() - begun
    print(f"{what}: {before['worker']} -> {now['worker']}, epoch {before['epoch']} -> {now['epoch']}, {took:.2f} s", flush=True)
    assert now["epoch"] > before["epoch"], (before, now)
    assert took < seconds, f"{what}: {took:.2f} s, at most {seconds} s"
    return worker, frozen


def kill_worker(cluster):
    def kill(worker):
        worker.kill(signal.SIGKILL)
        worker.child.wait()
    worker, _ = interrupt(cluster, "a killed worker", 3, kill)
    return worker.start


def freeze_worker(cluster):
    """Its task runs on. Somebody's lock on the store keeps rows for the takeover: then both want to write."""
    (path,) = (cluster.data / "store" / TENANT).glob("*.db")
    store = sqlite3.connect(path, isolation_level=None, timeout=30)

    def freeze(worker):
        store.execute("BEGIN IMMEDIATE")
        worker.kill(signal.SIGSTOP)
    worker, _ = interrupt(cluster, "a frozen worker", 6, freeze, placed=store.close)
    return lambda: worker.kill(signal.SIGCONT)


def freeze_task(cluster):
    """As when a machine sleeps: the task wakes up first, in an epoch that is over."""
    def freeze(worker):
        pid = sink_process(cluster, worker)
        assert pid, "no task has the store open"
        os.kill(pid, signal.SIGSTOP)
        worker.kill(signal.SIGSTOP)
        return pid
    worker, pid = interrupt(cluster, "a frozen task and worker", 6, freeze)
    already = delivered(cluster)
    wait_for("its replacement delivers", lambda: delivered(cluster) > already or done(cluster))
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass  # ended by its replacement, for a lock that it held
    return lambda: worker.kill(signal.SIGCONT)


def main():
    with tempfile.TemporaryDirectory() as name, Cluster(workers=2) as cluster:
        csv = pathlib.Path(name) / "rows.csv"
        subprocess.run([ROOT / "tenants/generate.py", "a", "--rows", str(ROWS), "--seed", "7", "--output", csv], check=True)
        cluster.start()
        cluster.cli("tenant", "apply", ROOT / "tenants/client_a")
        dataset, files = ROOT / "tenants/client_a/dataset.json", []
        for trouble in (kill_worker, freeze_worker, freeze_task):
            cluster.cli("upload", TENANT, csv)
            files.append(csv)
            cluster.cli("run", "now", TENANT)
            end_trouble = trouble(cluster)
            wait_for("all runs are done", lambda: all(
                run["state"] in ("COMPLETED", "SKIPPED") for run in cluster.json("run", "list", TENANT)), 120)
            end_trouble()
            wait_for("both workers are alive", cluster.ready, 20)
            sums = checks.ledger_sums(cluster, TENANT)
            assert sums["read"] == sums["delivered"] == ROWS * len(files), sums
        checks.ledger_exact(cluster, TENANT, dataset, files)
        checks.rows_equal(cluster, TENANT, dataset, files)
        checks.topic_exact(cluster, TENANT, dataset, files)
        wait_for("all is well", lambda: cluster.json("status")["healthy"], 20)
    print("each row once, after a killed worker, a frozen one, and a frozen task")


if __name__ == "__main__":
    main()
