"""The main job: both sample tenants, applied, uploaded, run; the rows equal an independent reading, the ledger counts."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import ROOT, Cluster, wait_for  # noqa: E402


def main():
    with Cluster(workers=2) as cluster:
        cluster.start()
        for tenant in ("client_a", "client_b"):
            folder = ROOT / "tenants" / tenant
            cluster.cli("tenant", "apply", folder)
            cluster.cli("upload", tenant, folder / "sample.csv")
            cluster.cli("run", "now", tenant, "--wait")
            checks.rows_equal(cluster, tenant, folder / "dataset.json", [folder / "sample.csv"])
            checks.ledger_exact(cluster, tenant, folder / "dataset.json", [folder / "sample.csv"])
            files = cluster.json("files", tenant)
            assert [(file["name"], file["state"]) for file in files] == [("sample.csv", "done")], files
            checks.topic_exact(cluster, tenant, folder / "dataset.json", [folder / "sample.csv"])
        wait_for("in/ and runs/ are empty", lambda: not cluster.runs_left())
        for run in cluster.json("run", "list", "client_a"):
            assert run["state"] in ("COMPLETED", "SKIPPED"), run
        status = cluster.json("status")
        assert status["healthy"], status
    print("both samples arrived, each row once, the ledger exact")


if __name__ == "__main__":
    main()
