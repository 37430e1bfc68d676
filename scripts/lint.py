#!/usr/bin/env python3
"""Formatting and static analysis: of everything in the tree, or of the files and folders named.

clang-tidy needs seconds a file, so a file that it found clean is remembered in .cache/clang-tidy by
a hash of all that its answer depends on: the file, the headers of ours that it includes, the
configuration and clang-tidy's version.
"""

import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "clang-tidy"
COMPILE_FLAGS = ["-std=c++20", "-I.", "-I/usr/include/libnl3", "-DRAPIDJSON_HAS_STDSTRING=1"]
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def tracked_files():
    """Every file that git knows or would add, so that a new file is checked before it is committed."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
        paths = [pathlib.Path(name.decode()) for name in names if name]
    else:  # a release tarball
        paths = [p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file()]
        paths = [p for p in paths if not p.parts[0].startswith(("bazel-", ".cache"))]
    return sorted(p for p in paths if (ROOT / p).is_file())


def run(command):
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def report(name, files, failures, started):
    for output in filter(None, failures):
        print(output.rstrip())
    verdict = f"{len(failures)} failed" if failures else "clean"
    print(f"lint: {name}: {files} files, {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
    return not failures


def closure(path, seen):
    """`path` and every header of ours that it includes, directly or not."""
    if path in seen:
        return seen
    seen[path] = (ROOT / path).read_bytes()
    for name in INCLUDE.findall(seen[path]):
        for candidate in (pathlib.Path(name.decode()), path.parent / name.decode()):
            if (ROOT / candidate).is_file():
                closure(candidate, seen)
                break
    return seen


def cache_key(path, salt):
    digest = hashlib.sha256(salt)
    for name, content in sorted(closure(path, {}).items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return CACHE / digest.hexdigest()


def tidy_one(path, salt):
    key = cache_key(path, salt)
    if key.exists():
        return None
    result = run(["clang-tidy", "--quiet", str(path), "--", *COMPILE_FLAGS])
    if result.returncode == 0:
        key.touch()
        return None
    return re.sub(r"^\d+ warnings? generated\.\n", "", result.stdout, flags=re.MULTILINE)


def clang_tidy(sources):
    started = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    version = run(["clang-tidy", "--version"]).stdout
    configs = [(ROOT / p).read_text() for p in (".clang-tidy", "tests/.clang-tidy")]
    salt = "\n".join([version, *configs, *COMPILE_FLAGS]).encode()
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        failures = []
        for output in pool.map(lambda p: tidy_one(p, salt), sources):
            if output:
                print(output.rstrip(), flush=True)  # it takes minutes: say it now
                failures.append("")
    return report("clang-tidy", len(sources), failures, started)


def clang_format(files):
    started = time.monotonic()
    result = run(["clang-format", "--dry-run", "-Werror", *map(str, files)]) if files else None
    wrong = sorted(set(re.findall(r"^(\S+?):\d+:\d+: ", result.stdout, re.MULTILINE))) if result else []
    failures = [f"{name}: is not formatted: run 'clang-format -i {name}'" for name in wrong]
    if result and result.returncode and not wrong:
        failures = [result.stdout]
    return report("clang-format", len(files), failures, started)


def shellcheck(scripts):
    started = time.monotonic()
    if not scripts:
        return True
    result = run(["shellcheck", *map(str, scripts)])
    return report("shellcheck", len(scripts), [result.stdout] if result.returncode else [], started)


def is_shell(path):
    with open(ROOT / path, "rb") as file:
        first = file.readline(80)
    return path.suffix == ".sh" or re.match(rb"#!.*\b(ba)?sh\b", first) is not None


def chosen(arguments):
    """The files named, or those below the folders named."""
    files = tracked_files()
    if not arguments:
        return files
    wanted = [(pathlib.Path.cwd() / name).resolve() for name in arguments]
    for name, path in zip(arguments, wanted):
        if not path.exists():
            sys.exit(f"lint.py: {name}: no such file or folder")
    return [f for f in files if any((ROOT / f).resolve().is_relative_to(path) for path in wanted)]


def main():
    parser = argparse.ArgumentParser(description="Formatting and static analysis; exits 1 if anything is wrong.")
    parser.add_argument("path", nargs="*", help="files or folders; everything in the tree when none is given")
    files = chosen(parser.parse_args().path)
    code = [p for p in files if p.suffix in (".h", ".cc")]
    checks = [
        clang_format(code),
        shellcheck([p for p in files if is_shell(p)]),
        clang_tidy([p for p in code if p.suffix == ".cc"]),
    ]
    return 0 if all(checks) else 1


if __name__ == "__main__":
    sys.exit(main())
