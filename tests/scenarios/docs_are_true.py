"""What the documents show of --help is what the programs print, and every link between the documents leads somewhere."""
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MR_BUILD", ROOT / "build/asan"))
FOLDERS = {"millrace-coordinator": "coordinator", "millrace-worker": "worker", "millrace-task": "task", "millrace": "cli"}
SHOWN = re.compile(r"```console\n\$ (\S+) ([^\n]*--help)\n(.*?)```", re.S)
LINK = re.compile(r"\]\((?!http|#)([^)#]+)")


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
    print(f"{shown} outputs of --help are as printed, all links lead somewhere")


if __name__ == "__main__":
    main()
