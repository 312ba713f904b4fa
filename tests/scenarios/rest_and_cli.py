"""REST and CLI against a real cluster: exit codes, refusals that change nothing, repeats, many uploads at once, waiting
through a restart of the coordinator."""
import concurrent.futures
import json
import pathlib
import shutil
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.cluster import ROOT, Cluster, wait_for  # noqa: E402
from harness.rest import call  # noqa: E402

TENANT = ROOT / "tenants/client_a"
DATASET = "speed-tracking-data"


def expect(done, code, text=""):
    assert done.returncode == code and text in done.stderr, (done.returncode, done.stdout, done.stderr)
    return done


def exit_codes(cluster):
    expect(cluster.try_cli("tenant", "list", "--coordinator", "http://127.0.0.1:9"), 5, "cannot reach the coordinator")
    expect(cluster.try_cli("tenant", "lst"), 2, 'did you mean "list"?')
    expect(cluster.try_cli("run", "now"), 2, "missing arguments")
    expect(cluster.try_cli("run", "now", "client_a", "--wiat"), 2, "--wiat")
    expect(cluster.try_cli("tenant", "show", "nobody"), 3, "nobody")
    expect(cluster.try_cli("upload", "nobody", TENANT / "sample.csv"), 3)
    expect(cluster.try_cli("query", "client_a", "SELEC"), 1, "syntax error")
    expect(cluster.try_cli("query", "client_a", "DELETE FROM analytics"), 1, "only statements that read")
    expect(cluster.try_cli("run", "cancel", "client_a", "manual-1"), 4, "COMPLETED")
    expect(cluster.try_cli("run", "show", "client_a", "manual-99"), 3)


def a_folder_that_is_refused_changes_nothing(cluster):
    before = cluster.json("tenant", "show", "client_a")
    folder = cluster.folder / "refused"
    shutil.copytree(TENANT, folder)
    dataset = json.loads((folder / "dataset.json").read_text())
    dataset["primary_key"][2] = "ONUIDX"
    (folder / "dataset.json").write_text(json.dumps(dataset))
    message = 'dataset.json: field "primary_key[2]": no column "ONUIDX" in the schema; did you mean "ONUID"?'
    expect(cluster.try_cli("tenant", "validate", folder), 1, message)
    expect(cluster.try_cli("tenant", "apply", folder), 1, message)
    shutil.copy(TENANT / "dataset.json", folder)
    expect(cluster.try_cli("tenant", "validate", folder, "--strict"), 1, "data_retention_period_days")
    expect(cluster.try_cli("tenant", "validate", folder), 0, "warning: ")
    (folder / "program/run").chmod(0o644)
    expect(cluster.try_cli("tenant", "apply", folder), 1, 'no executable file "run"')
    assert cluster.json("tenant", "show", "client_a") == before


def a_topic_that_looks_like_anothers_is_refused(cluster):
    """a_b.c and a.b_c are one topic to Kafka's metrics, where `.` and `_` are the same."""
    for client, dataset, code in (("a_b", "c", 0), ("a", "b_c", 4)):
        folder = cluster.folder / f"tenant-{client}"
        folder.mkdir()
        (folder / "agreement.json").write_text(json.dumps({"client": client, "schedule": "0 0 1 1 *"}))
        (folder / "dataset.json").write_text(json.dumps(
            {"name": dataset, "file_type": "csv", "key_space": "k", "primary_key": ["id"],
             "schema": {"type": "record", "name": "t", "fields": [{"name": "id", "type": "int"}]}}))
        expect(cluster.try_cli("tenant", "apply", folder), code, "" if code == 0 else "a_b")
    cluster.cli("tenant", "delete", "a_b")


def uploads_are_kept_once_each(cluster):
    path = "/upload-file/client_a?name=twice.csv"
    body, headers = (TENANT / "sample.csv").read_bytes(), {"Idempotency-Key": "once", "Content-Type": "text/csv"}
    first, again = (call(cluster, "POST", path, body, headers) for _ in range(2))
    assert first[0] == again[0] == 201 and first[1]["upload"] == again[1]["upload"], (first, again)
    other = call(cluster, "POST", path, body, {"Content-Type": "text/csv"})
    assert other[0] == 201 and other[1]["file"] != "twice.csv" and other[1]["upload"] != first[1]["upload"], other
    for name in ("..", "%00", "a%0Ab", "x" * 300, "a%2Fb"):
        status, answer = call(cluster, "POST", f"/upload-file/client_a?name={name}", b"x", headers={"Content-Type": "a/b"})
        assert status == 400, (name, status, answer)
    waiting = {f["name"] for f in call(cluster, "GET", "/tenant/client_a")[1]["files"]}
    assert waiting == {"twice.csv", other[1]["file"]}, waiting
    inside = sorted(p.name for p in (cluster.staging / "tenants/client_a/in").iterdir())
    assert len(inside) == 2 and not list((cluster.staging / "incoming").iterdir()), inside


def too_large_is_413(cluster):
    limit = json.loads((TENANT / "dataset.json").read_text())["max_file_size_mb"] * 1024 * 1024
    status, answer = call(cluster, "POST", "/upload-file/client_a?name=big.csv", b"x" * (limit + 1),
                          {"Content-Type": "text/csv"})
    assert status == 413 and "max_file_size_mb" in answer["message"], answer
    assert not list((cluster.staging / "incoming").iterdir())


def many_uploads_at_once(cluster):
    header = (TENANT / "sample.csv").read_bytes().split(b"\n", 1)[0]
    row = b"\nBDG,1022,285278464,0,1,1,58,%d,2026-01-01 00:18:02,156.6,458.3"

    def send(number):
        body = header + b"".join(row % (number * 1000 + i) for i in range(1000)) + b"\n"
        return call(cluster, "POST", f"/upload-file/client_a?name=many-{number}.csv", body, {"Content-Type": "text/csv"})

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(100)))
    assert all(status == 201 for status, _ in answers), answers


def waiting_survives_a_restart(cluster):
    done = {}

    def wait():
        done["run"] = cluster.try_cli("run", "now", "client_a", "--wait", "--output", "json")

    waiter = threading.Thread(target=wait)
    waiter.start()
    wait_for("the run is asked for", lambda: len(cluster.json("run", "list", "client_a")) > 1)
    cluster.coordinator.kill()
    waiter.join(120)
    run = json.loads(expect(done["run"], 0).stdout)
    assert run["files"] == 102 and run["state"] == "COMPLETED", run
    assert cluster.json("query", "client_a", "SELECT count(*) AS n FROM analytics WHERE ONUID < 100000")[0]["n"] >= 100


def main():
    with Cluster(workers=1) as cluster:
        cluster.start(supervise=True)
        cluster.cli("tenant", "apply", TENANT)
        cluster.cli("upload", "client_a", TENANT / "sample.csv")
        cluster.cli("run", "now", "client_a", "--wait")
        exit_codes(cluster)
        a_folder_that_is_refused_changes_nothing(cluster)
        a_topic_that_looks_like_anothers_is_refused(cluster)
        uploads_are_kept_once_each(cluster)
        too_large_is_413(cluster)
        many_uploads_at_once(cluster)
        waiting_survives_a_restart(cluster)
        lines = cluster.json("query", "client_a", "SELECT 1 AS a, 'x\"y' AS b, NULL AS c")
        assert lines == [{"a": 1, "b": 'x"y', "c": None}], lines
        assert "delivered" in cluster.cli("run", "show", "client_a", "manual-1")
        assert cluster.json("ledger") == cluster.json("ledger", "client_a")
        expect(cluster.try_cli("tenant", "delete", "client_a"), 0)
        wait_for("the tenant is gone", lambda: cluster.json("tenant", "list") == [])
    print("every command ended as it should, refusals changed nothing, each upload was kept once")


if __name__ == "__main__":
    main()
