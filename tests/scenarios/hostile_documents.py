"""Agreements, datasets, schemas and programs that are wrong: each is refused with its place, and nothing of it is stored,
neither in coordinator.db nor below staging; the seed's oddities load with warnings or are refused under --strict."""
import copy
import io
import json
import pathlib
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.cluster import ROOT, Cluster, wait_for  # noqa: E402
from harness.rest import call, form, raw_target  # noqa: E402

AGREEMENT = {"client": "first", "schedule": "0 0 1 1 *"}
DATASET = {"name": "rows", "file_type": "csv", "key_space": "space", "primary_key": ["id"],
           "schema": {"type": "record", "name": "cells", "fields": [{"name": "id", "type": "int"},
                                                                   {"name": "text", "type": "string"}]}}


def changed(document, **fields):
    return {**copy.deepcopy(document), **fields}


def schema(*fields, name="cells"):
    return {"type": "record", "name": name, "fields": [*DATASET["schema"]["fields"], *fields]}


def text(document):
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def program_tar(*members):
    """A tar of (name, mode, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, mode, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


RUN = ("run", 0o755, b"#!/bin/sh\ncp in/* out/\n")


def put(cluster, agreement=None, datasets=(DATASET,), program=None, tenant=None, query=""):
    agreement = AGREEMENT if agreement is None else agreement
    parts = [("agreement", "agreement.json", text(agreement))]
    parts += [("dataset", f"dataset-{i}.json", text(d)) for i, d in enumerate(datasets)]
    parts += [("program", "program.tar", program)] if program is not None else []
    headers, body = form(*parts)
    if tenant is None:
        tenant = agreement["client"] if isinstance(agreement, dict) else "first"
    return call(cluster, "PUT", f"/tenants/{tenant}{query}", body, headers)


def stored(cluster):
    """All that is durable: every row of coordinator.db, and every name below staging."""
    with tempfile.TemporaryDirectory() as folder:  # of a copy: the coordinator alone may open its own
        for path in cluster.data.glob("coordinator.db*"):
            shutil.copy(path, folder)
        with sqlite3.connect(f"{folder}/coordinator.db") as db:
            rows = list(db.iterdump())
        db.close()
    return rows, sorted(str(path.relative_to(cluster.staging)) for path in cluster.staging.rglob("*"))


class Refusals:
    def __init__(self, cluster):
        self.cluster, self.count, self.before = cluster, 0, stored(cluster)

    def expect(self, status, message, answer):
        assert answer[0] == status and answer[1]["message"].startswith(message), (status, message, answer)
        after = stored(self.cluster)
        assert after == self.before, (message, set(after[0]) ^ set(self.before[0]), set(after[1]) ^ set(self.before[1]))
        self.count += 1


def wrong_documents(cluster, refused):
    def agreement(message, document, status=400):
        refused.expect(status, message, put(cluster, document, program=program_tar(RUN)))

    def dataset(message, *documents, status=400):
        refused.expect(status, message, put(cluster, datasets=documents, program=program_tar(RUN)))

    agreement('agreement.json: field "shedule": unknown field; did you mean "schedule"?', {"client": "first", "shedule": "x"})
    agreement('agreement.json: field "schedule": is missing', {"client": "first"})
    agreement('agreement.json: field "schedule": "0 24 * * *", column 3, field hour: ', changed(AGREEMENT, schedule="0 24 * * *"))
    agreement('agreement.json: field "client": is "second", but the tenant is "first"', json.dumps(
        changed(AGREEMENT, client="second")).encode())
    agreement("agreement.json: line 1, column 28: duplicate object key", b'{"client": "first", "client": "second"}')
    agreement("agreement.json: line 2, column 9: unable to decode byte 0xff", b'{"client": "first",\n"schedule\xff": 1}')
    agreement("agreement.json: line 1, column 65: more than 64 levels deep", b"[" * 1000000)
    agreement("agreement.json: larger than 1 MiB", b" " * (10 << 20), status=413)
    agreement('agreement.json: field "sinks[1].name": two sinks are named "s"',
              changed(AGREEMENT, sinks=[{"name": "s", "class": "sqlite"}, {"name": "s", "class": "sqlite", "table": "t"}]))
    dataset('dataset-0.json: field "schema": fields[2].type: unknown type "strnig"',
            changed(DATASET, schema=schema({"name": "a", "type": "strnig"})))
    dataset('dataset-0.json: field "schema": fields[2]: fields "text" and "TEXT" differ only by case',
            changed(DATASET, schema=schema({"name": "TEXT", "type": "int"})))
    dataset('dataset-0.json: field "primary_key[0]": no column "idd" in the schema; did you mean "id"?',
            changed(DATASET, primary_key=["idd"]))
    dataset('dataset-0.json: field "table": "millrace_positions" is not a name', changed(DATASET, table="millrace_positions"))
    dataset('dataset-1.json: field "name": a dataset "rows" stands in dataset-0.json already',
            changed(DATASET, file_pattern="a*"), changed(DATASET, file_pattern="b*", table="other"))
    dataset('dataset-1.json: field "table": datasets "rows" and "more" both write table "cells"',
            changed(DATASET, file_pattern="a*"), changed(DATASET, file_pattern="b*", name="more"))
    dataset('dataset-1.json: field "file_pattern": is missing', changed(DATASET, file_pattern="a*"),
            changed(DATASET, name="more", table="other"))
    dataset("a dataset is missing: submit at least one")
    headers, body = form(("agreement", "a.json", text(AGREEMENT)), ("dataset", "d.json", text(DATASET)))
    cut = call(cluster, "PUT", "/tenants/first", body[:-12], headers)
    refused.expect(400, "the form is not complete", cut)
    refused.expect(400, 'form field "extra" is not known', call(cluster, "PUT", "/tenants/first", *reversed(
        form(("extra", "x", b"x")))))
    refused.expect(400, '"First" is not a tenant id', put(cluster, tenant="First"))
    refused.expect(413, "the body is larger than 1 MiB",
                   call(cluster, "POST", "/tenants/first/query", b"x" * (10 << 20), {"Content-Type": "application/json"}))


def wrong_programs(cluster, refused):
    def program(message, data, status=400):
        refused.expect(status, message, put(cluster, program=data))

    program("program: not a tar archive", b"this is not a tar archive, " * 1000)
    program('program: it has no executable file "run"', program_tar(("run", 0o644, b"")))
    program("program: the path ../run leads out of the program folder", program_tar(RUN, ("../run", 0o755, b"")))
    program("program: run is in the archive twice", program_tar(RUN, RUN))
    status, dry = put(cluster, program=program_tar(RUN), query="?dry_run=true")
    assert status == 200 and dry["valid"] and not dry["warnings"], dry
    assert stored(cluster) == refused.before


def what_belongs_to_another(cluster, refused):
    """The program is right each time: it must not stay when the documents are refused."""
    def second(message, program=b"second", dataset=None, **agreement):
        refused.expect(409, message, put(cluster, changed(AGREEMENT, client="second", **agreement),
                                         [changed(DATASET, **(dataset or {}))], program_tar(RUN, ("mark", 0o644, program))))

    owner = 'belongs to dataset "rows" of tenant first'
    second(f'dataset-0.json: dataset "rows": table space.cells in store sqlite {owner}')
    second(f'dataset-0.json: dataset "rows": table SPACE.Cells in store sqlite {owner}',
           dataset={"key_space": "SPACE", "table": "Cells"})
    second(f'dataset-0.json: dataset "rows": table space.cells in store sqlite {owner}', dataset={"table": "own"},
           sinks=[{"name": "s", "class": "sqlite", "table": "cells"}])
    topic = put(cluster, changed(AGREEMENT, client="fir_st"), [changed(DATASET, name="x", table="own")])
    assert topic[0] == 200, topic
    refused.before = stored(cluster)
    refused.expect(409, 'dataset "st_x": its topic fir.st_x is held for equal to one of dataset "x" of tenant fir_st',
                   put(cluster, changed(AGREEMENT, client="fir"), [changed(DATASET, name="st_x", table="own2")],
                       program_tar(RUN)))


def a_changed_schema(cluster, refused):
    def first(message, *fields, **dataset):
        refused.expect(409, message, put(cluster, datasets=[changed(DATASET, **{"schema": schema(*fields), **dataset})],
                                         program=program_tar(RUN, ("mark", 0o644, b"changed"))))

    added = {"name": "added", "type": ["null", "string"], "default": None}
    first('dataset rows: the added field "added" must be nullable', {"name": "added", "type": "string"})
    fields = DATASET["schema"]["fields"]
    first('dataset rows: field "text" is missing; fields can only be added', schema=changed(DATASET["schema"], fields=fields[:1]))
    first('dataset rows: field "id" has moved', schema=changed(DATASET["schema"], fields=fields[::-1]))
    first('dataset rows: field "text" was string and cannot become long',
          schema=changed(DATASET["schema"], fields=[fields[0], {"name": "text", "type": "long"}]))
    first('dataset rows: the schema\'s name was "cells"', schema=schema(name="other"), table="cells")
    first("dataset rows: primary_key cannot change from id to text", primary_key=["text"])
    first("dataset rows: topic.partitions cannot change from 1 to 2", **{"topic.partitions": 2})
    status, answer = put(cluster, datasets=[changed(DATASET, schema=schema(added))])
    assert status == 200 and answer["version"] == 2, answer
    refused.before = stored(cluster)
    wide = [changed(DATASET["schema"], fields=[*fields, added, *({"name": f"c{i}", "type": ["null", "string"], "doc": "d" * size}
                                                                for i in range(50))]) for size in (900, 901)]
    assert put(cluster, datasets=[changed(DATASET, schema=wide[0])])[0] == 200
    refused.before = stored(cluster)
    refused.expect(409, 'dataset-0.json: dataset "rows": its 4 versions of the schema are together larger than',
                   put(cluster, datasets=[changed(DATASET, schema=wide[1])]))


def two_at_once_that_exclude_each_other(cluster):
    """Both pass the check, one table: one is stored, the other leaves no program."""
    def one(name):
        answers[name] = put(cluster, changed(AGREEMENT, client=name), [changed(DATASET, table="wanted")],
                            program_tar(RUN, ("mark", 0o644, name.encode() * 200000)))

    answers = {}
    programs = set((cluster.staging / "programs").iterdir())
    threads = [threading.Thread(target=one, args=(name,)) for name in ("racer-a", "racer-b", "racer-c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers.values()) == [200, 409, 409], answers
    assert len(set((cluster.staging / "programs").iterdir()) - programs) == 1
    wait_for("incoming/ is empty", lambda: not list((cluster.staging / "incoming").iterdir()))


def the_seeds_oddities(cluster, refused):
    for name in ("client_a", "client_b"):
        folder = cluster.folder / name
        shutil.copytree(ROOT / "tenants" / name, folder)
        strict = cluster.try_cli("tenant", "apply", folder, "--strict")
        assert strict.returncode == 1 and "data_retention_period_days" in strict.stderr and "(strict)" in strict.stderr, strict
        valid = cluster.try_cli("tenant", "validate", folder)
        assert valid.returncode == 0 and 'field "data_retention_period_days": is a string' in valid.stderr, valid
        assert stored(cluster) == refused.before
    for name in ("client_a", "client_b"):
        done = cluster.try_cli("tenant", "apply", cluster.folder / name)
        assert done.returncode == 0 and "warning: " in done.stderr, done


def what_is_quoted_does_nothing_to_a_terminal(cluster, refused):
    folder = cluster.folder / "terminal"
    folder.mkdir()
    (folder / "agreement.json").write_text(json.dumps({**AGREEMENT, "\x1b[2J": 1}))
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    done = cluster.try_cli("tenant", "apply", folder)
    assert done.returncode == 1 and 'field "\\x1b[2J": unknown field' in done.stderr and "\x1b" not in done.stderr, done
    assert stored(cluster) == refused.before


def paths_with_a_nul(cluster, refused):
    """A path that is cut at a NUL would name another tenant."""
    status, answer = raw_target(cluster, "GET", b"/tenants/first%00x")
    refused.expect(400, "the path holds a NUL", (status, answer))
    status, answer = raw_target(cluster, "DELETE", b"/tenants/first%00?purge=true")
    refused.expect(400, "the path holds a NUL", (status, answer))


def main():
    with Cluster(workers=0) as cluster:
        cluster.start()
        refused = Refusals(cluster)
        wrong_documents(cluster, refused)
        wrong_programs(cluster, refused)
        assert put(cluster)[0] == 200
        refused.before = stored(cluster)
        wrong_documents(cluster, refused)
        what_belongs_to_another(cluster, refused)
        a_changed_schema(cluster, refused)
        paths_with_a_nul(cluster, refused)
        what_is_quoted_does_nothing_to_a_terminal(cluster, refused)
        the_seeds_oddities(cluster, refused)
        two_at_once_that_exclude_each_other(cluster)
    print(f"{refused.count} requests were refused with their reason, and nothing of them was stored")


if __name__ == "__main__":
    main()
