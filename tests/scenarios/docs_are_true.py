"""What the documents show of --help is what the programs print, every link between the documents leads somewhere, and
docs/agreement.md has the fields that openapi.json has."""
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MR_BUILD", ROOT / "build/asan"))
FOLDERS = {"millrace-coordinator": "coordinator", "millrace-worker": "worker", "millrace-task": "task", "millrace": "cli"}
SHOWN = re.compile(r"```console\n\$ (\S+) ([^\n]*--help)\n(.*?)```", re.S)
LINK = re.compile(r"\]\((?!http|#)([^)#]+)")
FIELD = re.compile(r"^\| \[`([^`]+)`\]", re.M)


def fields_shown(page, heading):
    section = page.split(f"\n{heading}\n", 1)[1].split("\n### ", 1)[0]
    return set(FIELD.findall(section))


def fields_described(schemas, name):
    """Dotted names of all fields of a schema; of lists and of what is open, the list alone."""
    fields = set()
    for field, schema in schemas[name]["properties"].items():
        inner = schema.get("properties", {}) if field in ("resources", "program") else {}
        deeper = {k: v.get("properties", {}) if field == "resources" else {} for k, v in inner.items()}
        fields |= {f"{field}.{k}.{m}" for k, v in deeper.items() for m in v} or {f"{field}.{k}" for k in inner} or {field}
    return fields


def fields_agree():
    page = (ROOT / "docs/agreement.md").read_text(encoding="utf-8")
    schemas = json.loads((ROOT / "coordinator/openapi.json").read_text(encoding="utf-8"))["components"]["schemas"]
    for heading, name in (("## The agreement", "Agreement"), ("## The dataset", "Dataset")):
        shown, described = fields_shown(page, heading), fields_described(schemas, name)
        assert shown == described, f"{name}: docs/agreement.md and openapi.json differ in {sorted(shown ^ described)}"


def main():
    shown = 0
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("*/*.md")]:
        text = page.read_text(encoding="utf-8")
        for program, words, output in SHOWN.findall(text):
            command = [BUILD / FOLDERS[program] / program, *words.split()]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            assert printed.strip() == output.strip(), f"{page.name}: {program} {words} prints something else:\n{printed}"
            shown += 1
        for target in LINK.findall(text):
            assert (page.parent / target).exists(), f"{page.name}: nothing at {target}"
    assert shown > 0
    fields_agree()
    print(f"{shown} outputs of --help are as printed, all links lead somewhere, all fields are described")


if __name__ == "__main__":
    main()
