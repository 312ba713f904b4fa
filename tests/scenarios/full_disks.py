"""Disks that are full, fail, or cannot be written any more: told in words, nothing lost, all goes on when they are mended.

State, staging, bus and store lie on a small tmpfs each. One after the other is filled up, then fails with EIO and with
EROFS (tests/preload/fail_below.c), while a run needs it: `status` and the run name the path and the reason, no task ends
as failed, attempts = 1 is not used up, and the run completes by itself once the disk is mended. In the end table, topic
and ledger equal an independent reading of all files.

Mounts live in a mount namespace of its own; where that is not allowed the scenario is skipped.
"""
import contextlib
import errno
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks, own_mounts  # noqa: E402
from harness.by_hand import preload  # noqa: E402
from harness.cluster import BUILD, Cluster, wait_for  # noqa: E402

LONG = True
TENANT = "disks"
SIZES = {"state": 8, "staging": 16, "bus": 16, "store": 16}  # MiB
REASONS = {errno.ENOSPC: "No space left on device", errno.EIO: "Input/output error", errno.EROFS: "Read-only file system"}
LOST_REASON = "Input/output error"  # SQLite does not always keep the errno of a write
ROWS = 3000
OUTAGE_S = 2.0  # of which the pauses between tries grow


class Disks:
    """The four tmpfs; `broken` is a disk that refuses, until the block ends."""

    def __init__(self, cluster):
        self.cluster, self.control, self.mounted = cluster, cluster.folder / "refusals", []
        self.paths = {"state": cluster.data, **{name: cluster.data / name for name in ("staging", "bus", "store")}}
        for name, path in self.paths.items():
            path.mkdir()
            own_mounts.tmpfs(path, f"{SIZES[name]}m")
            self.mounted.append(path)

    def unmount(self):
        for path in reversed(self.mounted):
            own_mounts.unmount(path)

    @contextlib.contextmanager
    def broken(self, name, how):
        path = self.paths[name]
        if how == "full":
            with kept_full(path / "filler"):
                yield REASONS[errno.ENOSPC]
            return
        # data.dir holds the others: only the state's own files are meant.
        folders = sorted(path.glob("coordinator.db*")) if name == "state" else [path]
        self.control.write_text("".join(f"{how} {folder}\n" for folder in folders))
        yield REASONS[how]
        self.control.unlink()


@contextlib.contextmanager
def kept_full(path):
    """Takes what is left on the disk, and what becomes free there: SQLite removes its log when it closes a file."""
    over = threading.Event()

    def fill(out):
        while not over.wait(0.01):
            for size in (65536, 4096):
                with contextlib.suppress(OSError):
                    while not over.is_set():
                        out.write(b"x" * size)

    with open(path, "wb", buffering=0) as out:
        filler = threading.Thread(target=fill, args=(out,))
        filler.start()
        try:
            yield
        finally:
            over.set()
            filler.join()
    path.unlink()


def write_tenant(folder):
    (folder / "program").mkdir(parents=True)
    (folder / "agreement.json").write_text(json.dumps({
        "client": TENANT, "schedule": "0 0 1 1 *", "data_retention_period_days": 1, "attempts": 1,
        "resources": {"requests": {"memory": "16Mi", "cpu": "100m"}, "limits": {"memory": "512Mi", "cpu": "500m"}}}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": TENANT, "csv.first.row.as.header": True,
        "schema": {"type": "record", "name": "numbered", "fields": [
            {"name": "serial", "type": "long"}, {"name": "key", "type": "int"}, {"name": "text", "type": "string"}]},
        "primary_key": ["key"], "topic.partitions": 2}))
    run = folder / "program/run"
    run.write_text(f'#!/bin/sh\nset -e\ncd "$SOURCE_PATH/$CLIENT_ID"\nwhile [ -e {folder}/gate ]; do sleep 0.05; done\n'
                   '[ -e in/greedy.csv ] && cat /dev/zero >out/big.csv\ncp in/* out/\n')
    run.chmod(0o755)


class Work:
    def __init__(self, cluster, folder):
        self.cluster, self.folder, self.files = cluster, folder, []
        write_tenant(folder / "tenant")
        cluster.cli("tenant", "apply", folder / "tenant")

    def upload(self):
        number = len(self.files)
        path = self.folder / f"rows-{number}.csv"
        rows = (f"{number * ROWS + i},{i % 1000},{'x' * 20}\n" for i in range(ROWS))
        path.write_text("serial,key,text\n" + "".join(rows))
        self.cluster.cli("upload", TENANT, path)
        self.files.append(path)

    def run_now(self):
        self.cluster.cli("run", "now", TENANT)

    def newest(self):
        return self.cluster.json("run", "list", TENANT)[0]

    @contextlib.contextmanager
    def program_waits(self):
        """A run whose program is running, and goes on at the end of the block."""
        gate = self.folder / "tenant/gate"
        gate.touch()
        self.run_now()
        wait_for("the program runs", self.program_runs)
        yield
        gate.unlink()

    def program_runs(self):
        run = self.newest()
        tasks = self.cluster.json("run", "show", TENANT, run["run_id"])["tasks"] if run["state"] == "PROGRAM" else []
        return any(task["step"] == "program" for task in tasks)

    def completed(self):
        run = self.newest()
        assert run["state"] not in ("FAILED", "CANCELLED", "SKIPPED"), run
        return run["state"] == "COMPLETED"

    def check(self):
        dataset = self.folder / "tenant/dataset.json"
        checks.ledger_exact(self.cluster, TENANT, dataset, self.files)
        checks.rows_equal(self.cluster, TENANT, dataset, self.files)
        checks.topic_exact(self.cluster, TENANT, dataset, self.files)


def told(work, path, reason):
    """Status and the run name the path and the reason."""
    def names(text):
        return str(path) in text and (reason in text or LOST_REASON in text)
    problems = [p["text"] for p in work.cluster.json("status")["problems"]]
    return any(names(text) for text in problems) and names(work.newest()["reason"] or "")


def refused_request(cluster, expected):
    """A change is refused with the reason, a look is not."""
    request = urllib.request.Request(f"{cluster.url}/tenants/{TENANT}/runs", method="POST")
    try:
        urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as problem:
        body = json.load(problem)
        assert problem.code == expected, (problem.code, body)
        assert str(cluster.data / "coordinator.db") in body["message"], body
    else:
        raise AssertionError("a change was accepted although the state could not be stored")
    assert cluster.json("run", "list", TENANT)


def break_disk(disks, work, name, how):
    """The disk refuses before the run is asked for; where it holds the state, while the run goes on."""
    begun = time.monotonic()
    work.upload()
    path = disks.paths[name]
    with contextlib.ExitStack() as mend:
        if name == "state":
            with work.program_waits():
                reason = mend.enter_context(disks.broken(name, how))
        else:
            reason = mend.enter_context(disks.broken(name, how))
            work.run_now()
        wait_for(f"status and run tell of {name}, {how}", lambda: told(work, path, reason))
        if name == "state":
            refused_request(work.cluster, 507 if how == "full" else 503)
        time.sleep(OUTAGE_S)
        assert not work.completed(), f"the run did not need {name}"
    mended = time.monotonic()
    wait_for(f"the run completes after {name}, {how}", work.completed, 60)
    print(f"{name}, {how}: told, mended after {mended - begun:.1f} s, done {time.monotonic() - mended:.1f} s later", flush=True)
    wait_for("all is well", lambda: work.cluster.json("status")["healthy"], 60)


def break_program(disks, work, how):
    """Staging refuses while the program runs: it is not the program's fault, and what it has made is not made again."""
    work.upload()
    with contextlib.ExitStack() as mend:
        with work.program_waits():
            reason = mend.enter_context(disks.broken("staging", how))
        wait_for(f"status and run tell of staging, {how}", lambda: told(work, disks.paths["staging"], reason))
        time.sleep(OUTAGE_S)
        assert not work.completed(), "the program did not need staging"
    wait_for(f"the run completes after staging, {how}", work.completed, 60)
    starts = work.cluster.cli("run", "logs", TENANT, work.newest()["run_id"]).count("--- attempt")
    print(f"the program ran {starts} times", flush=True)
    assert starts == 1 or how == "full", "what the program had made was made again"


def program_fills_disk(work):
    """That is the program's own failure: it uses up its attempt, and leaves the disk to others."""
    path = work.folder / "greedy.csv"
    path.write_text("serial,key,text\n")
    work.cluster.cli("upload", TENANT, path)
    work.run_now()
    run = wait_for("the greedy run is over", lambda: (run := work.newest())["finished_at"] and run)
    assert run["state"] == "FAILED" and "No space left on device" in run["reason"], run


def worker_cannot_record(disks, work):
    """A worker whose own folder fails runs its tasks, says once what that means, and makes up for it."""
    log, state = work.cluster.folder / "worker-1.log", work.cluster.folder / "worker-1.state"
    before = log.read_text().count("cannot be recorded")
    disks.control.write_text(f"{int(errno.EIO)} {state}\n")
    work.upload()
    with work.program_waits():
        disks.control.unlink()
        wait_for("the program's task is recorded", lambda: any(
            alive(line.split()[0]) for line in (state / "tasks").read_text().splitlines()[1:]))
    assert log.read_text().count("cannot be recorded") == before + 1, "told more than once"
    wait_for("the run completes", work.completed, 60)


def alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


def killed_while_failing(disks, work):
    """What a failed commit has left in the log of coordinator.db may come back with the next start, or not."""
    work.upload()
    with work.program_waits():
        mend = contextlib.ExitStack()
        reason = mend.enter_context(disks.broken("state", errno.EIO))
    with mend:
        wait_for("status and run tell of it", lambda: told(work, disks.paths["state"], reason))
        work.cluster.coordinator.kill()
        work.cluster.coordinator.child.wait()
    work.cluster.coordinator.start()
    wait_for("workers are alive", work.cluster.ready, 30)
    wait_for("the run completes", work.completed, 60)


def started_full(disks, cluster):
    """A full disk does not keep the coordinator from starting, and from telling."""
    cluster.coordinator.stop()
    with disks.broken("state", "full"):
        cluster.coordinator.start()
        wait_for("workers are alive", cluster.ready, 30)
        refused_request(cluster, 507)


def start_refused(disks, cluster):
    """A coordinator whose state cannot be written says so and ends; its supervisor starts it again."""
    cluster.coordinator.stop()
    with disks.broken("state", errno.EIO) as reason:
        done = subprocess.run([BUILD / "coordinator/millrace-coordinator", "--config",
                               cluster.folder / "coordinator.properties"], capture_output=True, text=True, timeout=60,
                              env=cluster.coordinator.environment)
        assert done.returncode == 1 and reason in done.stderr and "coordinator.db" in done.stderr, done
    cluster.coordinator.start()
    wait_for("workers are alive", cluster.ready, 30)


def main():
    with tempfile.TemporaryDirectory() as name, Cluster(workers=1) as cluster:
        for process in (cluster.coordinator, *cluster.workers):
            process.environment = dict(cluster.environment, MR_FAIL_CONTROL=str(cluster.folder / "refusals"),
                                       LD_PRELOAD=preload(BUILD / "tests/libfail_below.so"),
                                       ASAN_OPTIONS="verify_asan_link_order=0")
        disks = Disks(cluster)
        try:
            cluster.start()
            work = Work(cluster, pathlib.Path(name))
            wanted = sys.argv[1:]
            for how in ("full", errno.EIO, errno.EROFS):
                for disk in SIZES:
                    if not wanted or f"{disk}-{how}" in wanted:
                        break_disk(disks, work, disk, how)
            for how in ("full", errno.EIO):
                break_program(disks, work, how)
            program_fills_disk(work)
            worker_cannot_record(disks, work)
            killed_while_failing(disks, work)
            work.check()
            started_full(disks, cluster)
            start_refused(disks, cluster)
            work.upload()
            work.run_now()
            wait_for("a last run", work.completed)
            work.check()
            cluster.close()
        finally:
            for process in (*cluster.workers, cluster.coordinator):
                process.stop()
            disks.unmount()
    print("full, failing and read-only disks: all told, nothing lost, all went on by itself")


if __name__ == "__main__":
    own_mounts.run(main)
