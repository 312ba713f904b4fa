"""kill -9 of a worker, and a frozen one: the other takes its tasks over within seconds; no row is lost or doubled."""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import ROOT, Cluster, wait_for  # noqa: E402

ROWS = 150_000


def working(cluster):
    """Name of the worker that moves rows right now."""
    run = cluster.json("run", "list", "client_a")[0]
    tasks = cluster.json("run", "show", "client_a", run["run_id"])["tasks"]
    return next((task["worker"] for task in tasks if task["state"] == "RUNNING" and task["worker"]
                 and task["kind"] in ("source", "sink")), None)


def interrupt(cluster, number):
    name = wait_for("a task runs", lambda: working(cluster))
    worker = next(w for w in cluster.workers if w.name == name)
    begun = time.monotonic()
    worker.kill(number)
    wait_for("a task runs elsewhere", lambda: (working(cluster) or name) != name, 20)
    print(f"{name}: {signal.Signals(number).name}, elsewhere after {time.monotonic() - begun:.2f} s", flush=True)
    return worker


def main():
    with tempfile.TemporaryDirectory() as name, Cluster(workers=2) as cluster:
        csv = pathlib.Path(name) / "rows.csv"
        subprocess.run([ROOT / "tenants/generate.py", "a", "--rows", str(ROWS), "--seed", "7", "--output", csv], check=True)
        cluster.start()
        cluster.cli("tenant", "apply", ROOT / "tenants/client_a")
        dataset, files = ROOT / "tenants/client_a/dataset.json", []
        for number in (signal.SIGKILL, signal.SIGSTOP):
            cluster.cli("upload", "client_a", csv)
            files.append(csv)
            cluster.cli("run", "now", "client_a")
            worker = interrupt(cluster, number)
            cluster.cli("run", "now", "client_a", "--wait", timeout=300)
            wait_for("all runs are done", lambda: all(
                run["state"] in ("COMPLETED", "SKIPPED") for run in cluster.json("run", "list", "client_a")), 120)
            if number == signal.SIGSTOP:
                worker.kill(signal.SIGCONT)
            else:
                worker.start()
            wait_for("both workers are alive", cluster.ready, 20)
            checks.ledger_exact(cluster, "client_a", dataset, files)
        checks.rows_equal(cluster, "client_a", dataset, files)
        checks.topic_exact(cluster, "client_a", dataset, files)
        assert json.loads(cluster.cli("status", "--output", "json"))["healthy"]
    print("each row once, after a killed and after a frozen worker")


if __name__ == "__main__":
    main()
