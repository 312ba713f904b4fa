"""What a scenario proves about a tenant: the table, the ledger and the topic against an independent reading."""
import collections
import json
import sqlite3
import subprocess

from . import oracle
from .cluster import BUILD

COUNTS = ("read", "filtered", "rejected_source", "produced", "delivered", "rejected_sink", "abandoned", "in_flight")


def rows_equal(cluster, tenant, dataset_path, files):
    """The store's table, read by Python's own sqlite3, equals the files after upserts."""
    expected = oracle.read(dataset_path, files)
    store = cluster.data / "store" / tenant / f"{expected.key_space}.db"
    columns = ", ".join(f'"{name}"' for name in expected.columns)
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
        stored = {tuple(row[i] for i in expected.key_indexes): row
                  for row in db.execute(f'SELECT {columns} FROM "{expected.table}"')}
    assert stored == expected.rows, difference(expected.rows, stored)


def difference(expected, stored):
    missing = [key for key in expected if key not in stored]
    extra = [key for key in stored if key not in expected]
    other = [key for key in expected if key in stored and stored[key] != expected[key]]
    return (f"{len(missing)} rows are missing {missing[:3]}, {len(extra)} are too many {extra[:3]}, "
            f"{len(other)} differ {[(expected[k], stored[k]) for k in other[:2]]}")


def ledger_sums(cluster, tenant, sink=None):
    """Counts of all runs, of one sink or all; every line must add up."""
    sums = collections.Counter()
    for line in cluster.json("ledger", tenant, "--limit", 100000):
        if sink not in (None, line["sink"]):
            continue
        assert line["read"] == line["filtered"] + line["rejected_source"] + line["produced"], line
        out = line["delivered"] + line["rejected_sink"] + line["abandoned"] + line["in_flight"]
        assert line["produced"] == out, line
        for name in COUNTS:
            sums[name] += line[name]
    return sums


def ledger_exact(cluster, tenant, dataset_path, files):
    """Read, rejected and delivered equal independent counts of the files; nothing is in flight."""
    expected = oracle.read(dataset_path, files)
    sums = ledger_sums(cluster, tenant)
    wanted = {"read": expected.read, "filtered": 0, "rejected_source": expected.rejected, "produced": expected.good,
              "delivered": expected.good, "rejected_sink": 0, "abandoned": 0, "in_flight": 0}
    assert dict(sums) == wanted, f"ledger of {tenant}: {dict(sums)}, counted: {wanted}"


def inspect(cluster, kind, tenant, topic, schema=None):
    """Records of a topic of the embedded bus, as millrace-task --inspect prints them."""
    config = cluster.folder / f"inspect-{tenant}.properties"
    lines = ["bus=embedded", f"bus.dir={cluster.data / 'bus'}", f"tenant={tenant}", f"topic={topic}", "limit=0"]
    if schema is not None:
        lines.append("schema=" + json.dumps(schema).replace("\\", "\\\\"))
    config.write_text("\n".join(lines) + "\n")
    done = subprocess.run([BUILD / "task/millrace-task", "--inspect", kind, "--config", config], capture_output=True,
                          text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def topic_records(cluster, tenant, topic, schema=None):
    return inspect(cluster, "topic", tenant, topic, schema)


def dead_letters(cluster, tenant, topic):
    """What stands in the topic's {topic}.rejected."""
    return inspect(cluster, "rejected", tenant, topic)


def topic_exact(cluster, tenant, dataset_path, files):
    """Every readable row stands in the topic exactly as often as in the files: upserts would hide doubled rows."""
    expected = oracle.read(dataset_path, files)
    dataset = json.loads(dataset_path.read_text())
    records = topic_records(cluster, tenant, f"{tenant}.{dataset['name']}", dataset["schema"])
    found = collections.Counter(tuple(record["values"][name] for name in expected.columns) for record in records
                                if "values" in record)
    assert found == expected.occurrences, (
        f"topic of {tenant}: {sum(found.values())} rows, the files have {sum(expected.occurrences.values())}; "
        f"too few: {list((expected.occurrences - found).items())[:3]}; too many: {list((found - expected.occurrences).items())[:3]}")
