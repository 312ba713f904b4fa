"""A tenant that is not in the repository: own schema, nulls written as NA, 336,776 rows; all of them come back by query."""
import csv
import json
import pathlib
import random
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import Cluster  # noqa: E402

ROWS = 336_776
COLUMNS = [("year", "int"), ("month", "int"), ("day", "int"), ("dep_time", "int?"), ("sched_dep_time", "int"),
           ("dep_delay", "double?"), ("arr_time", "int?"), ("sched_arr_time", "int"), ("arr_delay", "double?"),
           ("carrier", "string"), ("flight", "int"), ("tailnum", "string?"), ("origin", "string"), ("dest", "string"),
           ("air_time", "double?"), ("distance", "double"), ("hour", "int"), ("minute", "int"), ("time_hour", "string")]


def field(name, kind):
    return ({"name": name, "type": ["null", kind[:-1]], "default": None} if kind.endswith("?")
            else {"name": name, "type": kind})


def write_tenant(folder):
    (folder / "agreement.json").write_text(json.dumps({
        "client": "flights", "data_retention_period_days": 7, "schedule": "0 3 * * *"}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "departures", "file_type": "csv", "key_space": "airport", "csv.first.row.as.header": True,
        "csv.null.values": ["NA"],
        "schema": {"type": "record", "name": "flights", "fields": [field(*column) for column in COLUMNS]},
        "primary_key": ["carrier", "flight", "time_hour", "sched_dep_time"], "max_file_size_mb": 100}))


def write_rows(path):
    rng = random.Random(336_776)
    with open(path, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([name for name, _ in COLUMNS])
        for n in range(ROWS):
            month, day, hour, minute = n % 12 + 1, n % 28 + 1, n % 19 + 5, n % 60
            cancelled = rng.random() < 0.025
            delay = "NA" if cancelled else rng.randint(-20, 120)
            writer.writerow([2013, month, day, "NA" if cancelled else hour * 100 + minute, hour * 100 + minute, delay,
                             "NA" if cancelled else (hour + 2) % 24 * 100, (hour + 2) % 24 * 100,
                             "NA" if cancelled else rng.randint(-30, 150), rng.choice(("UA", "AA", "B6", "DL")), n,
                             "NA" if rng.random() < 0.01 else f"N{rng.randint(100, 999)}UA", rng.choice(("EWR", "LGA", "JFK")),
                             rng.choice(("IAH", "MIA", "ATL")), "NA" if cancelled else rng.randint(20, 600),
                             rng.randint(80, 4983), hour, minute, f"2013-{month:02}-{day:02} {hour:02}:00:00"])


def main():
    with tempfile.TemporaryDirectory() as name, Cluster() as cluster:
        folder = pathlib.Path(name)
        write_tenant(folder)
        write_rows(folder / "flights.csv")
        cluster.start()
        cluster.cli("tenant", "apply", folder)
        cluster.cli("upload", "flights", folder / "flights.csv")
        cluster.cli("run", "now", "flights", "--wait", timeout=300)
        assert cluster.json("query", "flights", "SELECT count(*) AS n FROM flights") == [{"n": ROWS}]
        rows = cluster.json("query", "flights", "SELECT * FROM flights", timeout=300)
        assert len(rows) == ROWS
        assert any(row["dep_time"] is None for row in rows)
        checks.rows_equal(cluster, "flights", folder / "dataset.json", [folder / "flights.csv"])
        checks.ledger_exact(cluster, "flights", folder / "dataset.json", [folder / "flights.csv"])
    print(f"{ROWS} rows arrived and were queried")


if __name__ == "__main__":
    main()
