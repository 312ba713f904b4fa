"""All types of Avro, as CSV and as NDJSON, through the main job: what is stored equals what Python makes of the same values.

The rows are made here with Python's own datetime, decimal, uuid and json; so is what the store must hold. Among them stand
rows with values that do not fit: each is a dead letter that names its column."""
import csv
import datetime
import decimal
import io
import json
import pathlib
import random
import sqlite3
import sys
import tempfile
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import Cluster  # noqa: E402

ROWS = 400
UTC = datetime.timezone.utc


def maybe(kind):
    return ["null", kind]


FIELDS = [
    ("day", {"type": "int", "logicalType": "date"}),
    ("number", {"type": "long", "logicalType": "local-timestamp-micros"}),
    ("price", maybe({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 4})),
    ("share", maybe({"type": "fixed", "name": "Share", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 6})),
    ("at", maybe({"type": "long", "logicalType": "timestamp-millis"})),
    ("clock", maybe({"type": "long", "logicalType": "time-micros"})),
    ("uid", maybe({"type": "string", "logicalType": "uuid"})),
    ("kind", maybe({"type": "enum", "name": "Kind", "symbols": ["RED", "GREEN", "BLUE"]})),
    ("mac", maybe({"type": "fixed", "name": "Mac", "size": 6})),
    ("place", maybe({"type": "record", "name": "Place", "fields": [
        {"name": "city", "type": "string"}, {"name": "kind", "type": ["null", "Kind"], "default": None},
        {"name": "since", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        {"name": "lines", "type": {"type": "array", "items": "string"}, "default": []}]})),
    ("tags", maybe({"type": "array", "items": ["null", "long"]})),
    ("weights", maybe({"type": "map", "values": "double"})),
]
NAMES = [name for name, _ in FIELDS]
SCHEMA = {"type": "record", "name": "things", "fields": [
    {"name": name, "type": kind, **({"default": None} if isinstance(kind, list) else {})} for name, kind in FIELDS]}


def row_of(rng, serial):
    """(the values as JSON, what the store must hold)"""
    given, kept = {}, {}

    def put(name, value, stored=None):
        given[name], kept[name] = value, value if stored is None else stored
    day = datetime.date.fromordinal(rng.randrange(1, 3652059))
    put("day", day.isoformat())
    local = datetime.datetime(2026, 1, 1) + datetime.timedelta(microseconds=serial * 86_400_000_001)
    put("number", local.isoformat(sep=rng.choice("T ")), local.isoformat(timespec="microseconds"))
    for name in NAMES[2:]:
        kept[name] = None
    if rng.random() < 0.8:
        price = decimal.Decimal(rng.randrange(-10 ** 29, 10 ** 29)).scaleb(-4, decimal.Context(prec=40))
        put("price", format(price, "f"), format(price, "f"))
        put("share", format(decimal.Decimal(rng.randrange(-10 ** 9 + 1, 10 ** 9)).scaleb(-6), "f"))
    if rng.random() < 0.8:
        zone = datetime.timezone(datetime.timedelta(minutes=rng.choice((0, 120, -330))))
        at = datetime.datetime.fromtimestamp(rng.randrange(-10 ** 10, 10 ** 11), zone).replace(microsecond=serial % 1000 * 1000)
        put("at", at.isoformat(), at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z")
        clock = (datetime.datetime.min + datetime.timedelta(microseconds=rng.randrange(86_400_000_000))).time()
        put("clock", clock.isoformat(), clock.isoformat(timespec="microseconds"))
    if rng.random() < 0.8:
        uid = str(uuid.UUID(int=rng.getrandbits(128)))
        put("uid", uid.upper() if serial % 2 else uid, uid)
        put("kind", rng.choice(("RED", "GREEN", "BLUE")))
        put("mac", "".join(chr(rng.randrange(32, 127)) for _ in range(6)))
        kept["mac"] = given["mac"].encode()
    if rng.random() < 0.8:
        city = rng.choice(("Brno", 'the "big" one', "žluťoučký\nkůň"))
        put("place", {"city": city, "unknown": [1, {}]},
            json.dumps({"city": city, "kind": None, "since": None, "lines": []}))
        if serial % 3 == 0:
            given["place"] |= {"kind": "BLUE", "since": "1999-12-31", "lines": ["a", "", "c,d"]}
            kept["place"] = json.dumps({"city": city, "kind": "BLUE", "since": "1999-12-31", "lines": ["a", "", "c,d"]})
        put("tags", [rng.choice((None, rng.getrandbits(60))) for _ in range(rng.randrange(4))])
        put("weights", {f"k{i}": rng.randrange(1000) / 8 for i in range(rng.randrange(3))})
    return given, kept


WRONG = [
    ({"day": "2026-02-30"}, 'column day: "2026-02-30" is not a date'),
    ({"price": "12.34567"}, 'column price: "12.34567" has more digits behind the point than decimal(30, 4)'),
    ({"share": "1000"}, 'column share: "1000" is out of range for decimal(9, 6)'),
    ({"at": "2026-01-01"}, 'column at: "2026-01-01" is not a timestamp'),
    ({"clock": "25:00"}, 'column clock: "25:00" is not a time'),
    ({"uid": "x"}, 'column uid: "x" is not a UUID'),
    ({"kind": "red"}, 'column kind: "red" is no symbol of enum Kind'),
    ({"mac": "12345"}, 'column mac: "12345" has 5 bytes, not 6'),
    ({"place": {"kind": "RED"}}, "column place.city: is missing"),
    ({"place": {"city": "x", "lines": ["a", 5]}}, "column place.lines[1]: a number is not a string"),
    ({"tags": [1, 2.5]}, 'column tags[1]: "2.5" is not a long'),
    ({"weights": {"k": "1"}}, "column weights.k: a string is not a double"),
]


def rows():
    rng, made = random.Random(9), []
    for serial in range(ROWS):
        given, kept = row_of(rng, serial)
        made.append((given, kept, None))
        if serial % (ROWS // len(WRONG)) == 0 and serial // (ROWS // len(WRONG)) < len(WRONG):
            change, reason = WRONG[serial // (ROWS // len(WRONG))]
            made.append(({**row_of(rng, ROWS + serial)[0], **change}, None, reason))
    return made


def as_csv(made):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(NAMES)
    for given, _, _ in made:
        writer.writerow([json.dumps(given[name]) if isinstance(given.get(name), (dict, list)) else given.get(name, "")
                         for name in NAMES])
    return out.getvalue()


def as_ndjson(made):
    """Decimals as numbers of all their digits, in every other row."""
    lines = []
    for number, (given, _, _) in enumerate(made):
        line = json.dumps(given, ensure_ascii=number % 3 == 0)
        if number % 2 and "price" in given:
            line = line.replace(f'"{given["price"]}"', given["price"])
        lines.append(line + ("\r\n" if number % 5 == 0 else "\n"))
    return "".join(lines)


def write_tenant(folder):
    (folder / "datasets").mkdir()
    (folder / "agreement.json").write_text(json.dumps({"client": "types", "schedule": "0 0 1 1 *"}))
    for kind in ("csv", "ndjson"):
        (folder / "datasets" / f"{kind}.json").write_text(json.dumps({
            "name": f"things-{kind}", "file_type": kind, "key_space": "types", "table": f"things_{kind}", "schema": SCHEMA,
            "primary_key": ["day", "number"], "file_pattern": f"*.{kind}"}))


def canonical(name, value):
    return json.loads(value) if name in ("place", "tags", "weights") and isinstance(value, str) else value


def check_store(cluster, kind, made):
    with sqlite3.connect(f"file:{cluster.data}/store/types/types.db?mode=ro", uri=True) as db:
        found = {row[1]: row for row in db.execute(f"SELECT {', '.join(NAMES)} FROM things_{kind}")}
        days = db.execute(f"SELECT count(*) FROM things_{kind} WHERE date(day) = day AND datetime(number) IS NOT NULL").fetchone()
    wanted = [kept for _, kept, reason in made if reason is None]
    assert len(found) == len(wanted) and days == (len(wanted),), (len(found), days, len(wanted))
    for kept in wanted:
        for name, value in zip(NAMES, found[kept["number"]]):
            assert canonical(name, value) == canonical(name, kept[name]), (kind, name, value, kept[name])


def check_letters(cluster, kind, made):
    letters = cluster.json("rejected", "list", "types", "--dataset", f"things-{kind}")
    wanted = [reason for _, _, reason in made if reason is not None]
    for letter, reason in zip(letters, wanted):
        assert letter["reason"].startswith(reason), f"{letter['reason']}\nis not\n{reason}"
    assert len(letters) == len(wanted) == len(WRONG), (len(letters), len(wanted))


def check_topic(cluster, kind, made):
    records = checks.topic_records(cluster, "types", f"types.things-{kind}", SCHEMA)
    found = {record["values"]["number"]: record["values"] for record in records}
    assert len(records) == len(found) == ROWS, (len(records), len(found))
    for _, kept, reason in made:
        if reason is None:
            values = found[kept["number"]]
            assert values["place"] == canonical("place", kept["place"]), values
            assert (values["price"], values["at"], values["kind"]) == (kept["price"], kept["at"], kept["kind"]), values


def main():
    with tempfile.TemporaryDirectory() as name, Cluster() as cluster:
        folder, made = pathlib.Path(name), rows()
        write_tenant(folder)
        (folder / "things.csv").write_text(as_csv(made), newline="")
        (folder / "things.ndjson").write_text(as_ndjson(made), newline="")
        cluster.start()
        cluster.cli("tenant", "apply", folder)
        cluster.cli("upload", "types", folder / "things.csv", folder / "things.ndjson")
        cluster.cli("run", "now", "types", "--wait")
        for kind in ("csv", "ndjson"):
            check_store(cluster, kind, made)
            check_letters(cluster, kind, made)
            check_topic(cluster, kind, made)
        sums = checks.ledger_sums(cluster, "types")
        assert (sums["read"], sums["rejected_source"], sums["delivered"]) == (
            2 * len(made), 2 * len(WRONG), 2 * ROWS), sums
        rows_found = cluster.json("query", "types",
                                  "SELECT count(*) AS n FROM things_csv WHERE json_extract(place, '$.kind') = 'BLUE'")
        assert rows_found == [{"n": sum(1 for _, kept, reason in made if reason is None and kept["place"]
                                        and json.loads(kept["place"])["kind"] == "BLUE")}], rows_found
    print(f"{2 * ROWS} rows of all types stored, {2 * len(WRONG)} rejected by name")


if __name__ == "__main__":
    main()
