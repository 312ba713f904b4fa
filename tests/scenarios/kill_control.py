"""Kills coordinator, worker and tasks at every fault point, each followed by nothing but waiting.

One supervised cluster serves the whole matrix: all points are named in MR_FAULT_KILL, and a point whose mark
exists in MR_FAULT_DIR is not armed. For each point its mark is removed, a file is uploaded and run, and when the
work is done the mark must be back: the process was killed there. After each point rows and ledger are right, and
nothing is left in in/ or runs/.
"""
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import ROOT, Cluster, wait_for  # noqa: E402

LONG = True
FOLDERS = ("coordinator", "worker", "task", "bus", "connectors")
# Reached only by what the other scenarios do (named there); never by a plain run.
ELSEWHERE = {
    "cancel_renamed": "coordinator/recovery_test",
    "retention_discarded": "coordinator/recovery_test",
    "schedule_advanced": "coordinator/recovery_test",
    "tenant_discarded": "coordinator/recovery_test",
}
TENANT = "killed"
ROWS = 400


def points():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.c")):
            if not path.name.endswith("_test.c"):
                for name in re.findall(r'MR_FAULT\("(\w+)"\)', path.read_text()):
                    if name not in ELSEWHERE:
                        yield name


def tenant_folder(folder):
    (folder / "program").mkdir(parents=True)
    (folder / "agreement.json").write_text(json.dumps({
        "client": TENANT, "schedule": "0 0 1 1 *", "data_retention_period_days": 1, "attempts": 5,
        "resources": {"requests": {"memory": "16Mi", "cpu": "100m"}, "limits": {"memory": "512Mi", "cpu": "500m"}}}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": "space", "csv.first.row.as.header": True,
        "schema": {"type": "record", "name": "numbered", "fields": [
            {"name": "serial", "type": "long"}, {"name": "key", "type": "int"}, {"name": "text", "type": "string"}]},
        "primary_key": ["key"], "topic.partitions": 2}))
    run = folder / "program/run"
    run.write_text('#!/bin/sh\nset -e\nfor f in "$SOURCE_PATH/$CLIENT_ID/in/"*; do cp "$f" "$SOURCE_PATH/$CLIENT_ID/out/"; done\n')
    run.chmod(0o755)


def write_file(path, first):
    """ROWS good rows with serial numbers from `first`, and two that do not fit."""
    with open(path, "w") as out:
        out.write("serial,key,text\n")
        for serial in range(first, first + ROWS):
            out.write(f'{serial},{serial % 300},"row, {serial}"\n')
        out.write(f"{first},not-a-number,x\n{first},1\n")


def final(cluster):
    runs = cluster.try_cli("run", "list", TENANT, "--output", "json")
    if runs.returncode != 0:
        return False
    states = [run["state"] for run in json.loads(runs.stdout)]
    assert "FAILED" not in states, runs.stdout
    return bool(states) and all(state in ("COMPLETED", "COMPLETED_WITH_REJECTS", "SKIPPED", "CANCELLED") for state in states)


def idle(cluster):
    return final(cluster) and not cluster.runs_left()


def main():
    wanted = sys.argv[1:] or sorted(points())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-kill-"))
    marks = folder / "marks"
    marks.mkdir()
    for name in wanted:
        (marks / f"{name}.killed").touch()
    environment = {"MR_FAULT_DIR": str(marks), "MR_FAULT_KILL": ",".join(wanted)}
    tenant_folder(folder / "tenant")
    files, missed = [], []
    with Cluster(workers=1, settings={"worker_grace_ms": 500}, environment=environment) as cluster:
        cluster.start(supervise=True)
        cluster.cli("tenant", "apply", folder / "tenant")
        for name in wanted:
            begun = time.monotonic()
            file = folder / f"{len(files):03d}.csv"
            write_file(file, first=len(files) * ROWS)
            files.append(file)
            (marks / f"{name}.killed").unlink()
            upload(cluster, file)
            wait_for(f"a run after {name}", lambda: cluster.try_cli("run", "now", TENANT).returncode == 0, 30)
            wait_for(f"{name}: all runs are done and in/ and runs/ are empty", lambda: idle(cluster), 60)
            hit = (marks / f"{name}.killed").exists()
            if not hit:
                missed.append(name)
                (marks / f"{name}.killed").touch()
            print(f"{name:32} {'killed' if hit else 'NOT REACHED'} {time.monotonic() - begun:6.1f} s", flush=True)
            checks.ledger_exact(cluster, TENANT, folder / "tenant/dataset.json", files)
        checks.rows_equal(cluster, TENANT, folder / "tenant/dataset.json", files)
        checks.topic_exact(cluster, TENANT, folder / "tenant/dataset.json", files)
    shutil.rmtree(folder)
    assert not missed, f"never reached: {missed}"
    print(f"{len(wanted)} points, each killed once: rows, topic and ledger are right")


def upload(cluster, file):
    """Until it is accepted; the same Idempotency-Key each time makes it one upload."""
    request = urllib.request.Request(f"{cluster.url}/upload-file/{TENANT}?name={file.name}", data=file.read_bytes(),
                                     headers={"Idempotency-Key": f"upload-{file.name}", "Content-Type": "text/csv"})

    def accepted():
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status in (200, 201)
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{file.name}: {refused.code} {refused.read().decode()}")
        except OSError:
            return False
    wait_for(f"{file.name} is uploaded", accepted, 60)


if __name__ == "__main__":
    main()
