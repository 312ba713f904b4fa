"""What becomes of rejected rows: a replay after the cause has gone brings every row in that can be read now, in a run with a
ledger line of its own, exactly once although coordinator and worker are killed; older lines do not change."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.cluster import Cluster, wait_for  # noqa: E402

TENANT, DATASET = "shop", "orders"
FIELDS = [{"name": "id", "type": "int"}, {"name": "amount", "type": ["null", "double"], "default": None},
          {"name": "text", "type": "string"}]
BAD = 300


def write_tenant(folder, null_values):
    folder.mkdir(exist_ok=True)
    (folder / "agreement.json").write_text(json.dumps({"client": TENANT, "schedule": "0 0 1 1 *"}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": DATASET, "file_type": "csv", "key_space": "shop", "csv.null.values": null_values,
        "schema": {"type": "record", "name": DATASET, "fields": FIELDS}, "primary_key": ["id"]}))
    return folder


def write_files(folder):
    """Two layouts, so that only the header of its own file tells what a row means."""
    (folder / "a.csv").write_text("id,amount,text\n" + "".join(f"{n},{n}.5,row {n}\n" for n in range(100)) +
                                  "".join(f"{1000 + n},n/a,a {n}\n" for n in range(BAD)) + "1x,1,never\n")
    (folder / "b.csv").write_text("text,other,amount,id\n" +
                                  "".join(f'"b, {n}",x,n/a,{2000 + n}\n' for n in range(BAD)) + "never,x,1\n")
    return folder / "a.csv", folder / "b.csv"


def line(cluster, run):
    lines = cluster.json("ledger", TENANT, "--run", run)
    assert len(lines) == 1, lines
    return {key: lines[0][key] for key in ("read", "filtered", "rejected_source", "produced", "delivered",
                                           "rejected_sink", "abandoned", "in_flight")}


def expected(read, rejected):
    good = read - rejected
    return {"read": read, "filtered": 0, "rejected_source": rejected, "produced": good, "delivered": good,
            "rejected_sink": 0, "abandoned": 0, "in_flight": 0}


def rows(cluster, condition):
    return cluster.json("query", TENANT, f"SELECT count(*) AS n FROM orders WHERE {condition}")[0]["n"]


def replay(cluster, *options):
    """Its run, completed."""
    return cluster.json("rejected", "replay", TENANT, *options, "--wait")


def main():
    with Cluster(workers=1) as cluster:
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
        cluster.cli("rejected", "replay", TENANT)
        run = cluster.json("run", "list", TENANT)[0]["run_id"]
        cluster.workers[0].kill()
        cluster.coordinator.kill()
        wait_for("the replay ends", lambda: cluster.ready() and
                 cluster.json("run", "show", TENANT, run)["state"] == "COMPLETED_WITH_REJECTS", 60)
        assert line(cluster, run) == expected(2 * BAD + 2, 2)
        assert rows(cluster, "amount IS NULL AND id BETWEEN 1000 AND 1299 AND text LIKE 'a %'") == BAD
        assert rows(cluster, "amount IS NULL AND id BETWEEN 2000 AND 2299 AND text LIKE 'b, %'") == BAD
        assert line(cluster, "manual-1") == first, "a replay changes no older line"

        letters = cluster.json("rejected", "list", TENANT, "--limit", "10000")
        assert len(letters) == 2 * (2 * BAD + 2) + 2, len(letters)
        again = {(letter["file"], letter["raw"]) for letter in letters[-2:]}
        assert again == {("a.csv", "1x,1,never"), ("b.csv", "never,x,1")}, again

        # of one run only, although replayed before
        forced = replay(cluster, "--run", "manual-1", "--force")
        assert line(cluster, forced["run_id"]) == expected(2 * BAD + 2, 2)
        assert cluster.try_cli("rejected", "replay", TENANT, "--dataset", "nothing").returncode == 3
        assert not cluster.runs_left(), cluster.runs_left()
        assert len(cluster.json("audit", TENANT, "--what", "replay")) == 3
    print(f"{2 * BAD} rejected rows came in by a replay, each once; 2 were rejected again")


if __name__ == "__main__":
    main()
