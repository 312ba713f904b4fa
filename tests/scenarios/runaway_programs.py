"""A tenant's program that runs away: ended with all it started, told in words, tried again; nobody else notices.

The neighbour's runs go on beside each and succeed; coordinator and worker keep their pids and stay small.
"""
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.cluster import Cluster, wait_for  # noqa: E402
from harness.runaways import EATERS, MARK, RUNAWAYS, mark, text, write_tenant  # noqa: E402

LONG = True
ROWS = 50
MEMORY_MIB = 400  # of a process of the asan build, which is many times that of a release one


def marked(name):
    """Processes that carry the mark of the tenant's programs."""
    wanted = f"{MARK}={mark(name)}".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def peak_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0


def upload(cluster, folder, tenant, number):
    file = folder / f"{tenant}-{number}.csv"
    file.write_text("serial,key,text\n" + "".join(f"{number * ROWS + n},{n},row\n" for n in range(ROWS)))
    cluster.cli("upload", tenant, file)


def check_one(cluster, folder, name, number):
    begun = time.monotonic()
    words = RUNAWAYS[name][1]
    quick = name in ("late", "deaf", "stopped")
    write_tenant(folder / "wild", "wild", text(name), attempts=2 if name == "exits" else 1, deadline=2 if quick else 60,
                 memory="96Mi" if name in EATERS else "8Gi")
    cluster.cli("tenant", "apply", folder / "wild")
    upload(cluster, folder, "wild", number)
    upload(cluster, folder, "neighbour", number)
    cluster.cli("run", "now", "wild")
    cluster.cli("run", "now", "neighbour", "--wait")
    run = wait_for(f"{name}: the run ends", lambda: (lambda run: run if run["finished_at"] else None)(
        cluster.json("run", "list", "wild")[0]), 60)
    wait_for(f"{name}: all its processes are gone", lambda: not marked("wild"), 5)
    log = cluster.cli("run", "logs", "wild", run["run_id"])
    if words is None:
        assert run["state"].startswith("COMPLETED"), (name, run)
    else:
        shown = cluster.json("run", "show", "wild", run["run_id"])
        assert run["state"] == "FAILED" and words in shown["reason"], (name, shown["reason"])
        assert ("attempt 2 of 2 failed" if name == "exits" else "attempt 1 of 1 failed") in shown["reason"], shown["reason"]
    if name == "exits":
        assert "--- attempt 1 of 2" in log and "--- attempt 2 of 2" in log and "--- ended with exit code 3" in log, log
    if name == "left":
        assert "--- 1 processes that it left behind were ended" in log, log
    if name == "prints":
        assert len(log) < 1.1 * (1 << 20) and "left out" in log, len(log)
    print(f"{name:12} {run['state']:10} {time.monotonic() - begun:5.1f} s", flush=True)


def main():
    wanted = sys.argv[1:] or list(RUNAWAYS)
    with tempfile.TemporaryDirectory() as place, Cluster() as cluster:
        folder = pathlib.Path(place)
        cluster.start()
        write_tenant(folder / "neighbour", "neighbour", text("left"))
        cluster.cli("tenant", "apply", folder / "neighbour")
        pids = [cluster.coordinator.child.pid, cluster.workers[0].child.pid]
        for number, name in enumerate(wanted):
            check_one(cluster, folder, name, number)
        assert cluster.json("query", "neighbour", "SELECT count(*) AS n FROM rows") == [{"n": ROWS * len(wanted)}]
        assert all(process.starts == 1 and process.child.poll() is None for process in (cluster.coordinator, cluster.workers[0]))
        for pid in pids:
            assert peak_mib(pid) < MEMORY_MIB, (pid, peak_mib(pid))
        assert not marked("neighbour")
        print(f"coordinator and worker at most {max(map(peak_mib, pids))} MiB")


if __name__ == "__main__":
    main()
