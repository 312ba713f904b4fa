"""Every change is in the audit trail once, with who asked for it, also when the coordinator was killed in between; it
outlives the tenant, and shows which fields of an agreement changed."""
import getpass
import json
import pathlib
import shutil
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.cluster import ROOT, Cluster, wait_for  # noqa: E402

TENANT = ROOT / "tenants/client_a"


def main():
    with Cluster(workers=1) as cluster:
        cluster.start(supervise=True)
        folder = cluster.folder / "client_a"
        shutil.copytree(TENANT, folder)
        cluster.cli("tenant", "apply", folder)
        agreement = json.loads((folder / "agreement.json").read_text())
        agreement["attempts"] = 2
        (folder / "agreement.json").write_text(json.dumps(agreement))
        cluster.cli("tenant", "apply", folder)
        cluster.cli("upload", "client_a", folder / "sample.csv")
        cluster.coordinator.kill()
        wait_for("the coordinator is back", cluster.ready)
        cluster.cli("run", "now", "client_a", "--wait")
        assert cluster.try_cli("run", "cancel", "client_a", "manual-1").returncode == 4  # changes nothing: no entry
        cluster.cli("tenant", "delete", "client_a")
        wait_for("the tenant is gone", lambda: cluster.json("tenant", "list") == [])

        entries = list(reversed(cluster.json("audit", "client_a")))
        assert [e["what"] for e in entries] == ["apply_tenant", "apply_tenant", "upload", "run_now", "complete_run",
                                                "delete_tenant", "tenant_deleted"], entries
        assert all(e["who"].startswith(getpass.getuser() + "@") and e["from"] == "127.0.0.1"
                   for e in entries if e["what"] not in ("complete_run", "tenant_deleted")), entries
        assert all(e["who"] == "coordinator" and e["from"] is None
                   for e in entries if e["what"] in ("complete_run", "tenant_deleted")), entries
        assert entries[0]["before"] is None and entries[0]["after"]["agreement"]["client"] == "client_a"
        assert entries[1]["before"] == {"agreement": {}, "version": 1}, entries[1]
        assert entries[1]["after"] == {"agreement": {"attempts": 2}, "version": 2}, entries[1]
        assert entries[2]["subject"] == "sample.csv" and entries[3]["subject"] == "manual-1"
        assert entries[4]["after"] == {"state": "COMPLETED", "reason": None}, entries[4]
        table = cluster.cli("audit", "--what", "apply_tenant", "--limit", "1")
        assert "agreement.attempts=2" in table and table.count("\n") == 2, table
        with urllib.request.urlopen(f"{cluster.url}/audit?limit=2") as answer:
            assert [e["what"] for e in json.load(answer)] == ["tenant_deleted", "delete_tenant"]
        assert cluster.try_cli("audit", "nobody").returncode == 3
    print("every change is told once, with who asked for it")


if __name__ == "__main__":
    main()
