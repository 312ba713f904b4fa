"""What becomes of rejected rows: mended in the CSV file that is downloaded, all of them come in; a replay after the cause has gone brings every row in that can be read now, in a run with a
ledger line of its own, exactly once although coordinator and worker are killed; older lines do not change."""
import csv
import io
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.cluster import Cluster, wait_for  # noqa: E402

TENANT, DATASET = "shop", "orders"
FIELDS = [{"name": "id", "type": "int"}, {"name": "amount", "type": ["null", "double"], "default": None},
          {"name": "text", "type": "string"}]
BAD = 2000
KILLED_AT = ("source_before_commit", "source_after_commit", "replay_committed", "source_end_unrecorded")


def write_tenant(folder, null_values, tenant=TENANT, delimiter=","):
    folder.mkdir(exist_ok=True)
    (folder / "agreement.json").write_text(json.dumps({"client": tenant, "schedule": "0 0 1 1 *"}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": DATASET, "file_type": "csv", "key_space": tenant, "csv.null.values": null_values,
        "csv.delimiter": delimiter,
        "schema": {"type": "record", "name": DATASET, "fields": FIELDS}, "primary_key": ["id"]}))
    return folder


def write_files(folder):
    """Two layouts, so that only the header of its own file tells what a row means."""
    (folder / "a.csv").write_text("id,amount,text\n" + "".join(f"{n},{n}.5,row {n}\n" for n in range(100)) +
                                  "".join(f"{1000 + n},n/a,a {n}\n" for n in range(BAD)) + "1x,1,never\n")
    (folder / "b.csv").write_text("text,other,amount,id\n" +
                                  "".join(f'"b, {n}",x,n/a,{10000 + n}\n' for n in range(BAD)) + "never,x,1\n")
    return folder / "a.csv", folder / "b.csv"


def line(cluster, run, tenant=TENANT):
    lines = cluster.json("ledger", tenant, "--run", run)
    assert len(lines) == 1, lines
    return {key: lines[0][key] for key in ("read", "filtered", "rejected_source", "produced", "delivered",
                                           "rejected_sink", "abandoned", "in_flight")}


def expected(read, rejected):
    good = read - rejected
    return {"read": read, "filtered": 0, "rejected_source": rejected, "produced": good, "delivered": good,
            "rejected_sink": 0, "abandoned": 0, "in_flight": 0}


def rows(cluster, condition, tenant=TENANT):
    return cluster.json("query", tenant, f"SELECT count(*) AS n FROM orders WHERE {condition}")[0]["n"]


def upload_and_run(cluster, tenant, *files):
    cluster.cli("upload", tenant, *files)
    return json.loads(cluster.cli("run", "now", tenant, "--wait", "--output", "json"))["run_id"]


def download_mend_upload(cluster):
    """The delimiter has changed since: the file is in the dataset's present dialect."""
    tenant, folder = "mended", cluster.folder / "mended"
    cluster.cli("tenant", "apply", write_tenant(folder, [], tenant))
    run = upload_and_run(cluster, tenant, *write_files(cluster.folder))
    cluster.cli("tenant", "apply", write_tenant(folder, [], tenant, ";"))
    text = cluster.cli("rejected", "download", tenant, "--run", run)
    (cluster.folder / "as-it-is.csv").write_text(text)
    header, *body = csv.reader(io.StringIO(text), delimiter=";")
    assert header == ["id", "amount", "text", "rejected_reason", "rejected_file", "rejected_line", "rejected_row"], header
    assert len(body) == 2 * BAD + 2, len(body)
    assert body[0] == ["1000", "n/a", "a 0", 'column amount: "n/a" is not a double', "a.csv", "102", ""], body[0]
    assert body[BAD + 1][:3] == ["10000", "n/a", "b, 0"], body[BAD + 1]
    assert body[-1] == ["", "", "", "3 cells, the header has 4", "b.csv", str(BAD + 2), "never,x,1",
                        "mend this row and remove this cell"], body[-1]

    # nobody mended it: all of it is rejected again, none is stored empty
    run = upload_and_run(cluster, tenant, cluster.folder / "as-it-is.csv")
    assert line(cluster, run, tenant) == expected(2 * BAD + 2, 2 * BAD + 2)

    body[-1] = ["99002", "1", "never", *body[-1][3:7]]
    for row in body:
        row[0], row[1] = row[0].replace("1x", "99001"), row[1].replace("n/a", "")
    with open(cluster.folder / "mend.csv", "w", newline="") as out:
        csv.writer(out, delimiter=";", lineterminator="\n").writerows([header, *body])
    run = upload_and_run(cluster, tenant, cluster.folder / "mend.csv")
    assert line(cluster, run, tenant) == expected(2 * BAD + 2, 0)
    assert rows(cluster, "id >= 1000", tenant) == 2 * BAD + 2
    nothing = cluster.cli("rejected", "download", tenant, "--run", run)
    assert nothing.count("\n") == 1, nothing
    assert cluster.try_cli("rejected", "download", tenant, "--run", "manual-99").returncode == 3


def simple_tenant(cluster, tenant, value_type, has_header, *more):
    folder = cluster.folder / tenant
    folder.mkdir()
    (folder / "agreement.json").write_text(json.dumps({"client": tenant, "schedule": "0 0 1 1 *"}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "t", "file_type": "csv", "key_space": tenant, "csv.first.row.as.header": has_header,
        "schema": {"type": "record", "name": "t", "fields": [
            {"name": "id", "type": "int"}, {"name": "value", "type": value_type}, *more]},
        "primary_key": ["id"]}))
    cluster.cli("tenant", "apply", folder)


def a_record_that_the_store_refused(cluster):
    """A store cannot hold NaN where null is not allowed: it is replayed, and refused, as the record that it was."""
    simple_tenant(cluster, "refused", "double", True, {"name": "day", "type": {"type": "int", "logicalType": "date"}})
    (cluster.folder / "nan.csv").write_text("value,id,day\n" + "".join(
        f"{'NaN' if n == 7 else n / 3},{n},2026-01-0{n + 1 if n < 9 else 1}\n" for n in range(10)))
    run = upload_and_run(cluster, "refused", cluster.folder / "nan.csv")
    assert line(cluster, run, "refused") == {**expected(10, 0), "delivered": 9, "rejected_sink": 1}
    body = list(csv.reader(io.StringIO(cluster.cli("rejected", "download", "refused"))))[1:]
    assert len(body) == 1 and body[0][:3] == ["7", "NaN", "2026-01-08"] and body[0][3], body
    again = cluster.json("rejected", "replay", "refused", "--wait")
    assert line(cluster, again["run_id"], "refused") == {**expected(1, 0), "delivered": 0, "rejected_sink": 1}


def rows_without_a_header(cluster):
    simple_tenant(cluster, "bare", "string", False)
    (cluster.folder / "bare.csv").write_text('1,a\nx,"b, c"\n2\n')
    upload_and_run(cluster, "bare", cluster.folder / "bare.csv")
    text = cluster.cli("rejected", "download", "bare")
    assert text == 'x,"b, c"\n2\n', text
    (cluster.folder / "mended.csv").write_text(text.replace("x", "3").replace("2\n", "2,d\n"))
    run = upload_and_run(cluster, "bare", cluster.folder / "mended.csv")
    assert line(cluster, run, "bare") == expected(2, 0)


def replay(cluster, *options):
    """Its run, completed."""
    return cluster.json("rejected", "replay", TENANT, *options, "--wait")


def replay_under_kills(cluster, marks):
    """Its run: each of KILLED_AT kills the process that comes there, and the worker is killed at the beginning."""
    for name in KILLED_AT:
        (marks / f"{name}.killed").unlink()
    run = cluster.json("rejected", "replay", TENANT)["run_id"]
    cluster.workers[0].kill()

    def ended():
        done = cluster.try_cli("run", "show", TENANT, run, "--output", "json")
        return done.returncode == 0 and json.loads(done.stdout)["state"] == "COMPLETED_WITH_REJECTS"
    wait_for("the replay ends", ended, 60)
    assert all((marks / f"{name}.killed").exists() for name in KILLED_AT), list(marks.iterdir())
    return run


def main():
    with tempfile.TemporaryDirectory() as name:
        marks = pathlib.Path(name)
        for point in KILLED_AT:
            (marks / f"{point}.killed").touch()
        check(marks)
    print(f"{2 * BAD} rejected rows came in by a replay, each once, and by a file that was mended")


def check(marks):
    with Cluster(workers=1, environment={"MR_FAULT_DIR": str(marks), "MR_FAULT_KILL": ",".join(KILLED_AT)}) as cluster:
        cluster.start(supervise=True)
        folder = write_tenant(cluster.folder / "tenant", [])
        cluster.cli("tenant", "apply", folder)
        cluster.cli("upload", TENANT, *write_files(cluster.folder))
        cluster.cli("run", "now", TENANT, "--wait")
        first = line(cluster, "manual-1")
        assert first == expected(100 + 2 * BAD + 2, 2 * BAD + 2), first

        # nothing has changed: all are rejected again, and the next replay reads those only
        run = replay(cluster, "--dataset", DATASET)
        assert (run["trigger"], run["state"]) == ("replay", "COMPLETED_WITH_REJECTS"), run
        assert line(cluster, run["run_id"]) == expected(2 * BAD + 2, 2 * BAD + 2)

        cluster.cli("tenant", "apply", write_tenant(folder, ["n/a"]))
        run = replay_under_kills(cluster, marks)
        assert line(cluster, run) == expected(2 * BAD + 2, 2)
        assert rows(cluster, "amount IS NULL AND id BETWEEN 1000 AND 2999 AND text LIKE 'a %'") == BAD
        assert rows(cluster, "amount IS NULL AND id BETWEEN 10000 AND 11999 AND text LIKE 'b, %'") == BAD
        assert line(cluster, "manual-1") == first, "a replay changes no older line"

        letters = cluster.json("rejected", "list", TENANT, "--limit", "100000")
        assert len(letters) == 2 * (2 * BAD + 2) + 2, len(letters)
        again = {(letter["file"], letter["raw"]) for letter in letters[-2:]}
        assert again == {("a.csv", "1x,1,never"), ("b.csv", "never,x,1")}, again

        # of one run only, although replayed before; a coordinator that is restored from before it knows it again
        cluster.copy_state(cluster.folder / "copy")
        wait_for("the coordinator is back", cluster.ready)
        forced = replay(cluster, "--run", "manual-1", "--force")
        assert line(cluster, forced["run_id"]) == expected(2 * BAD + 2, 2)
        cluster.restore_state(cluster.folder / "copy")
        wait_for("the coordinator is back", cluster.ready)
        assert cluster.json("run", "show", TENANT, forced["run_id"])["run_uid"] == forced["run_uid"]
        assert line(cluster, forced["run_id"]) == expected(2 * BAD + 2, 2)
        assert replay(cluster, "--run", "manual-1")["run_id"] != forced["run_id"]
        assert cluster.try_cli("rejected", "replay", TENANT, "--dataset", "nothing").returncode == 3
        assert not cluster.runs_left(), cluster.runs_left()
        assert len(cluster.json("audit", TENANT, "--what", "replay")) == 3  # the forced one is not in the copy
        download_mend_upload(cluster)
        a_record_that_the_store_refused(cluster)
        rows_without_a_header(cluster)


if __name__ == "__main__":
    main()
