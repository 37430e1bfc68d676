#!/usr/bin/env python3
"""Counts the test cases of one `bazel test` from its build event file. Used by scripts/test.sh.

Usage: count_tests.py EVENTS [BROKEN_CHECK...]

A test that writes JUnit XML (GoogleTest does) counts with each of its cases, any other as one. What
never came to a result (it did not build, it crashed, it timed out) counts as one failure. Prints the
names of what failed or was skipped, then "N passed, N failed[, N skipped]". Exits 1 when anything
failed, when a BROKEN_CHECK is named, or when there was no test at all.
"""

import json
import pathlib
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def add_target(self, label, status, xml_path):
        """The cases of one run of one target; a target that failed has at least one failure."""
        before = len(self.failed)
        cases = read_cases(xml_path)
        for name, outcome, why in cases:
            if outcome == "failed":
                self.failed.append(f"{label} {name}")
            elif outcome == "skipped":
                self.skipped.append(f"{label} {name}: {why}" if why else f"{label} {name}")
            else:
                self.passed += 1
        if status not in ("PASSED", "FLAKY"):
            if len(self.failed) == before:
                self.failed.append(f"{label} ({status})")
        elif not cases:
            self.passed += 1


def read_cases(xml_path):
    """(name, passed|failed|skipped, why skipped) of each case in a JUnit XML file; none if it is unreadable."""
    try:
        root = ElementTree.parse(xml_path).getroot()
    except (OSError, ElementTree.ParseError, TypeError):
        return []
    cases = []
    for case in root.iter("testcase"):
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            cases.append((name, "failed", ""))
        elif skipped is not None or case.get("result") in ("skipped", "suppressed") or case.get("status") == "notrun":
            lines = ((skipped.get("message") if skipped is not None else "") or "").strip().splitlines()
            # GoogleTest puts the file and line first.
            cases.append((name, "skipped", lines[-1] if lines else ""))
        else:
            cases.append((name, "passed", ""))
    return cases


def output_path(outputs, name):
    for output in outputs:
        if output.get("name") == name and output.get("uri", "").startswith("file://"):
            return pathlib.Path(urllib.parse.unquote(output["uri"][len("file://"):]))
    return None


def tally_events(lines):
    tally, expected, seen = Tally(), set(), {}
    for line in lines:
        event = json.loads(line)
        identity = event.get("id", {})
        if "targetConfigured" in identity and "testSize" in event.get("configured", {}):
            expected.add(identity["targetConfigured"]["label"])
        elif "testResult" in identity:
            key = identity["testResult"]
            run = (key["label"], key.get("run", 1), key.get("shard", 1))
            seen[run] = event["testResult"]  # of several attempts, the last one
    for (label, _, _), result in sorted(seen.items()):
        xml_path = output_path(result.get("testActionOutput", []), "test.xml")
        tally.add_target(label, result.get("status", "NO_STATUS"), xml_path)
    for label in sorted(expected - {run[0] for run in seen}):
        tally.failed.append(f"{label} (has no result)")
    return tally


def main():
    broken = sys.argv[2:]
    try:
        with open(sys.argv[1], encoding="utf-8") as events:
            tally = tally_events(events)
    except OSError as error:
        tally = Tally()
        broken.append(f"no build events: {error.strerror}")
    if tally.failed:
        # Bazel's own exit code says nothing more than the failed tests do.
        broken = [check for check in broken if not check.startswith("bazel test")]
    elif not broken and not tally.passed:
        broken.append("no test was run")
    failed = tally.failed + broken
    print("==")
    for name in tally.skipped:
        print(f"SKIPPED {name}")
    for name in failed:
        print(f"FAILED  {name}")
    skipped = f", {len(tally.skipped)} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {len(failed)} failed{skipped}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
