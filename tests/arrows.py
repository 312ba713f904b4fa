#!/usr/bin/env python3
"""Proves the arrows of docs/architecture.md: who includes whom, that headers compile alone, what the worker links.

usage: tests/arrows.py [BUILD_FOLDER]     BUILD_FOLDER: a built tree (default build/release)
"""
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / (sys.argv[1] if len(sys.argv) > 1 else "build/release")

# What a folder may include besides itself; an entry with a slash is one header.
ARROWS = {
    "core": [],
    "proto": ["core"],
    "bus": ["core"],
    "connectors": ["core"],
    "task": ["connectors", "bus", "core", "proto"],
    "worker": ["core", "proto"],
    "coordinator": ["core", "proto", "connectors/option_tables.h"],
    "cli": ["core"],
    "bench": ["core", "bus", "connectors"],
    "fuzz": ["core", "proto", "bus", "connectors", "task", "coordinator"],
}
# The worker forks often and idles on every machine: it stays small.
WORKER_MUST_NOT_LINK = ("sqlite", "jansson", "rdkafka", "curl", "archive", "microhttpd", "crypto")

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def sources():
    for folder in ARROWS:
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            yield folder, path


def include_problems():
    for folder, path in sources():
        for target in INCLUDE.findall(path.read_text(encoding="utf-8")):
            top = target.split("/")[0]
            if top == folder or target.startswith("proto/millrace.pb-c") and "proto" in ARROWS[folder] + [folder]:
                continue
            if top in ARROWS[folder] or target in ARROWS[folder]:
                continue
            yield f"{path.relative_to(ROOT)}: must not include {target}"


def header_problem(path):
    flags = ["-std=c17", "-D_GNU_SOURCE", f"-I{ROOT}", f"-I{BUILD}/proto", "-Wall", "-Wextra", "-Werror"]
    done = subprocess.run(["gcc", *flags, "-fsyntax-only", "-x", "c", "-"], input=f'#include "{path.relative_to(ROOT)}"\n',
                          capture_output=True, text=True, cwd=ROOT)
    return f"{path.relative_to(ROOT)}: does not compile alone:\n{done.stderr}" if done.returncode else None


def guard_problem(path):
    text = path.read_text(encoding="utf-8")
    guard = "MR_" + re.sub(r"[^A-Z0-9]", "_", str(path.relative_to(ROOT)).upper())
    return None if f"#ifndef {guard}\n#define {guard}\n" in text else f"{path.relative_to(ROOT)}: guard is not {guard}"


def link_problems():
    worker = BUILD / "worker" / "millrace-worker"
    libraries = subprocess.run(["ldd", worker], capture_output=True, text=True, check=True).stdout
    for name in WORKER_MUST_NOT_LINK:
        if f"lib{name}" in libraries:
            yield f"worker links {name}"


def main():
    headers = [path for _, path in sources() if path.suffix == ".h"]
    with ThreadPoolExecutor(2) as pool:
        alone = [problem for problem in pool.map(header_problem, headers) if problem]
    problems = list(include_problems()) + alone + [p for p in map(guard_problem, headers) if p] + list(link_problems())
    print("\n".join(problems) or f"arrows hold: {len(headers)} headers compile alone, the worker is small")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
