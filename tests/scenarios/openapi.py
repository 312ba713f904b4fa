"""The OpenAPI document is valid and true: schemathesis makes requests of it, right ones and wrong ones, and whatever the
coordinator answers is described, none of it a fault; afterwards the sample tenants work as before."""
import json
import pathlib
import subprocess
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks, venv  # noqa: E402
from harness.cluster import FREES_AT_ONCE, ROOT, Cluster, wait_for  # noqa: E402

TENANTS = [ROOT / "tenants/client_a", ROOT / "tenants/client_b"]
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "negative_data_rejection", "unsupported_method", "allow_header_conformance")
SEED, EXAMPLES = 4, 15
GROWTH_KB = 32 * 1024


def document_is_valid(cluster):
    with urllib.request.urlopen(cluster.url + "/openapi.json", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "application/json", answer.headers
        served = answer.read()
    assert served == (ROOT / "coordinator/openapi.json").read_bytes()
    assert json.loads(served)["openapi"].startswith("3.1.")
    code = "import json, sys, openapi_spec_validator; openapi_spec_validator.validate(json.load(sys.stdin))"
    subprocess.run([venv.program("python"), "-c", code], input=served, check=True)


def attack(cluster, *selection):
    """Runs schemathesis over the selected operations, from a folder of its own: it leaves a database of examples."""
    command = [venv.program("schemathesis"), "--config-file", ROOT / "tests/schemathesis.toml", "--no-color", "run",
               cluster.url + "/openapi.json", "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing",
               "--max-examples", EXAMPLES, "--seed", SEED, "--no-shrink", "--continue-on-failure", "--warnings", "off",
               "--request-timeout", 30, *selection]
    done = subprocess.run([str(word) for word in command], cwd=cluster.folder, capture_output=True, text=True, timeout=300)
    cases = [line for line in done.stdout.splitlines() if " generated" in line]
    assert done.returncode == 0, "\n".join(line[:2000] for line in done.stdout.splitlines()) + done.stderr
    print(*selection, *cases)


def main_job(cluster, folder):
    cluster.cli("tenant", "apply", folder)
    cluster.cli("upload", folder.name, folder / "sample.csv")
    cluster.cli("run", "now", folder.name, "--wait")
    checks.ledger_exact(cluster, folder.name, folder / "dataset.json", [folder / "sample.csv"])


def gone(cluster, tenant):
    return cluster.try_cli("tenant", "show", tenant).returncode == 3


def main():
    with Cluster(workers=1, environment=FREES_AT_ONCE) as cluster:
        cluster.start()
        for folder in TENANTS:
            main_job(cluster, folder)
        document_is_valid(cluster)
        before = cluster.coordinator.resident_kb()
        attack(cluster, "--exclude-method", "DELETE")
        attack(cluster, "--include-method", "DELETE")
        assert cluster.coordinator.child.poll() is None and cluster.coordinator.starts == 1
        grown = cluster.coordinator.resident_kb() - before
        print(f"the coordinator grew by {grown} KiB")
        assert grown < GROWTH_KB, f"the coordinator grew by {grown} KiB"
        for folder in TENANTS:
            if not gone(cluster, folder.name):
                cluster.try_cli("tenant", "delete", folder.name, "--purge")
            wait_for(f"{folder.name} is gone", lambda name=folder.name: gone(cluster, name))
            main_job(cluster, folder)
            checks.rows_equal(cluster, folder.name, folder / "dataset.json", [folder / "sample.csv"])
        wait_for("all is well", lambda: cluster.json("status")["healthy"])
    print("the document is valid and true, no request was a fault, the tenants work as before")


if __name__ == "__main__":
    main()
