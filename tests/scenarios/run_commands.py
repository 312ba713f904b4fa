"""What an operator does to runs: several datasets by pattern, too many rejects, retry, cancel, abandon."""
import json
import pathlib
import signal
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402

TENANT = "shop"


def dataset(name):
    return {"name": name, "file_type": "csv", "key_space": "shop", "csv.first.row.as.header": True,
            "file_pattern": f"{name}-*.csv",
            "schema": {"type": "record", "name": name, "fields": [
                {"name": "id", "type": "int"}, {"name": "text", "type": "string"}]}, "primary_key": ["id"]}


def write_tenant(folder):
    (folder / "datasets").mkdir(parents=True)
    (folder / "agreement.json").write_text(json.dumps({
        "client": TENANT, "schedule": "0 0 1 1 *", "max_rejected_percent": 10}))
    for name in ("orders", "items"):
        (folder / f"datasets/{name}.json").write_text(json.dumps(dataset(name)))


def write_rows(path, good, bad=0):
    path.write_text("id,text\n" + "".join(f"{n},row {n}\n" for n in good) + "x,bad\n" * bad)
    return path


def run_state(cluster, run):
    return cluster.json("run", "show", TENANT, run)["state"]


def lines(cluster, run):
    return cluster.json("ledger", TENANT, "--run", run)


def check_datasets(cluster, folder):
    orders, items = write_rows(folder / "orders-1.csv", range(100)), write_rows(folder / "items-1.csv", range(30))
    cluster.cli("upload", TENANT, orders, items)
    unknown = cluster.try_cli("upload", TENANT, write_rows(folder / "stray.csv", range(1)))
    assert unknown.returncode == 1 and "file_pattern" in unknown.stderr, unknown
    cluster.cli("run", "now", TENANT, "--wait")
    for name, file in (("orders", orders), ("items", items)):
        checks.rows_equal(cluster, TENANT, folder / f"tenant/datasets/{name}.json", [file])
    assert {(line["dataset"], line["delivered"]) for line in lines(cluster, "manual-1")} == {("orders", 100), ("items", 30)}


def check_too_many_rejects(cluster, folder):
    cluster.cli("upload", TENANT, write_rows(folder / "orders-2.csv", range(1000, 1010), bad=5))
    done = cluster.try_cli("run", "now", TENANT, "--wait")
    assert done.returncode == 1, done
    run = cluster.json("run", "show", TENANT, "manual-2")
    assert run["state"] == "FAILED", run
    assert run["reason"] == "dataset orders: 5 of 15 rows were rejected, max_rejected_percent allows 10 %", run
    assert run["datasets"][0]["error_budget"] == {
        "allowed": 1, "rejected": 5, "max_rejected_percent": 10.0, "max_rejected_rows": None}, run
    assert "5 of 1" in cluster.cli("run", "show", TENANT, "manual-2")
    assert list((cluster.staging / f"tenants/{TENANT}/failed").glob("*/claimed/orders-2.csv"))
    assert len(cluster.json("rejected", "list", TENANT)) == 5
    cluster.cli("run", "retry", TENANT, "manual-2")
    retried = cluster.json("run", "list", TENANT)[0]
    assert retried["trigger"] == "retry", retried
    wait_for("the retry fails as well", lambda: run_state(cluster, retried["run_id"]) == "FAILED")
    rows = cluster.json("query", TENANT, "SELECT count(*) AS n FROM orders WHERE id >= 1000")
    assert rows == [{"n": 0}], rows


def check_a_number_of_rejects(cluster, folder):
    """Reading stops at the row that is one too many, and its file is kept."""
    agreement = folder / "tenant/agreement.json"
    agreement.write_text(json.dumps({"client": TENANT, "schedule": "0 0 1 1 *", "max_rejected_rows": 3}))
    cluster.cli("tenant", "apply", folder / "tenant")
    cluster.cli("upload", TENANT, write_rows(folder / "items-9.csv", range(5000, 5010), bad=90))
    assert cluster.try_cli("run", "now", TENANT, "--wait").returncode == 1
    run = cluster.json("run", "list", TENANT)[0]
    assert run["reason"] == "dataset items: 4 of 14 rows were rejected, max_rejected_rows allows 3: no more were read", run
    assert list((cluster.staging / f"tenants/{TENANT}/failed").glob("*/claimed/items-9.csv"))
    line = next(line for line in lines(cluster, run["run_id"]) if line["dataset"] == "items")
    assert (line["read"], line["rejected_source"], line["delivered"], line["abandoned"]) == (14, 4, 0, 10), line
    agreement.write_text(json.dumps({"client": TENANT, "schedule": "0 0 1 1 *", "max_rejected_percent": 10}))
    cluster.cli("tenant", "apply", folder / "tenant")


def check_cancel(cluster, folder):
    worker = cluster.workers[0]
    worker.kill(signal.SIGKILL)
    worker.child.wait()
    cluster.cli("upload", TENANT, write_rows(folder / "orders-3.csv", range(3000, 3010)))
    cluster.cli("run", "now", TENANT)
    run = cluster.json("run", "list", TENANT)[0]["run_id"]
    wait_for("the run waits for a worker", lambda: run_state(cluster, run) == "PROGRAM")
    cluster.cli("run", "cancel", TENANT, run)
    wait_for("the run is cancelled", lambda: run_state(cluster, run) == "CANCELLED")
    assert [file["name"] for file in cluster.json("files", TENANT, "--state", "ready")] == ["orders-3.csv"]
    worker.start()
    wait_for("the worker is back", cluster.ready)
    cluster.cli("run", "now", TENANT, "--wait")
    rows = cluster.json("query", TENANT, "SELECT count(*) AS n FROM orders WHERE id >= 3000")
    assert rows == [{"n": 10}], rows


def check_abandon(cluster, folder):
    """A store that somebody holds locked: the run is delivered to nobody until the operator gives it up."""
    store = sqlite3.connect(cluster.data / f"store/{TENANT}/shop.db", isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    cluster.cli("upload", TENANT, write_rows(folder / "orders-4.csv", range(4000, 4020)))
    cluster.cli("run", "now", TENANT)
    run = cluster.json("run", "list", TENANT)[0]["run_id"]
    wait_for("the run is delivering", lambda: run_state(cluster, run) == "DELIVERING")
    refused = cluster.try_cli("run", "cancel", TENANT, run)
    assert refused.returncode == 4 and "abandon" in refused.stderr, refused
    cluster.cli("run", "abandon", TENANT, run)
    wait_for("the run is abandoned", lambda: run_state(cluster, run) == "ABANDONED")
    line = lines(cluster, run)[0]
    assert line["produced"] == line["abandoned"] == 20 and line["in_flight"] == 0, line
    store.execute("ROLLBACK")
    store.close()
    cluster.cli("upload", TENANT, write_rows(folder / "orders-5.csv", range(5000, 5005)))
    cluster.cli("run", "now", TENANT, "--wait")
    stored, later = (cluster.json("query", TENANT, f"SELECT count(*) AS n FROM orders WHERE id / 1000 = {n}")[0]["n"]
                     for n in (4, 5))
    assert later == 5, later
    line = lines(cluster, run)[0]  # what the sink had in hand when the lock went away counts as delivered
    assert line["delivered"] == stored and line["abandoned"] == 20 - stored, (line, stored)
    checks.ledger_sums(cluster, TENANT)


def check_program(cluster, folder):
    """A command of its own over the submitted folder, with a variable; its output is in the run's log."""
    own = folder / "prepared"
    (own / "program").mkdir(parents=True)
    (own / "agreement.json").write_text(json.dumps({
        "client": "prepared", "schedule": "0 0 1 1 *",
        "program": {"command": ["sh", "-c", 'sh "$PROGRAM_DIR/upper.sh"'], "env": {"LETTERS": "abc"}}}))
    (own / "dataset.json").write_text(json.dumps({key: value for key, value in dataset("names").items() if key != "file_pattern"}))
    (own / "program/upper.sh").write_text(
        'cd "$SOURCE_PATH/$CLIENT_ID" && for f in in/*; do tr "$LETTERS" ABC <"$f" >"out/${f#in/}" && echo "did $f"; done\n')
    cluster.cli("tenant", "apply", own)
    file = folder / "names.csv"
    file.write_text("id,text\n1,cab\n")
    cluster.cli("upload", "prepared", file)
    cluster.cli("run", "now", "prepared", "--wait")
    assert cluster.json("query", "prepared", "SELECT text FROM names") == [{"text": "CAB"}]
    assert "did in/names.csv" in cluster.cli("run", "logs", "prepared", "manual-1")


def check_memory_limit(cluster, folder):
    """A program above its limit is ended, and the run says so; the next one within it is not."""
    own = folder / "prepared"
    run = {"client": "prepared", "schedule": "0 0 1 1 *", "attempts": 1,
           "resources": {"requests": {"memory": "16Mi", "cpu": "100m"}, "limits": {"memory": "64Mi", "cpu": "500m"}},
           "program": {"command": ["python3", "-c", "import time; held = bytearray(100 << 20); time.sleep(30)"]}}
    (own / "agreement.json").write_text(json.dumps(run))
    cluster.cli("tenant", "apply", own)
    cluster.cli("upload", "prepared", folder / "names.csv")
    done = cluster.try_cli("run", "now", "prepared", "--wait")
    failed = cluster.json("run", "list", "prepared")[0]
    assert done.returncode == 1 and "memory limit 64 MiB exceeded" in failed["reason"], failed


def check_delete(cluster, folder):
    cluster.cli("upload", TENANT, write_rows(folder / "orders-6.csv", range(6000, 6005)))
    refused = cluster.try_cli("tenant", "delete", TENANT)
    assert refused.returncode == 4 and "purge" in refused.stderr, refused
    cluster.cli("tenant", "delete", TENANT, "--purge")
    wait_for("the tenant is gone", lambda: cluster.try_cli("tenant", "show", TENANT).returncode == 3)
    assert not (cluster.staging / f"tenants/{TENANT}").exists()


def main():
    with tempfile.TemporaryDirectory() as name, Cluster() as cluster:
        folder = pathlib.Path(name)
        write_tenant(folder / "tenant")
        cluster.start()
        cluster.cli("tenant", "apply", folder / "tenant")
        for check in (check_datasets, check_too_many_rejects, check_a_number_of_rejects, check_cancel, check_abandon, check_program,
                      check_memory_limit, check_delete):
            check(cluster, folder)
            print(check.__name__, "ok", flush=True)


if __name__ == "__main__":
    main()
