"""Prints how many tests ran, failed, were skipped, and were left out because ../shared/data is absent.

summary.py LOG JUNIT.xml: JUNIT is what nextest wrote; without it the log of `cargo test -- --show-output` is read.
Fails when nothing ran: a suite of no tests has not passed.
"""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree


def of_nextest(log, junit):
    run = failed = left_out = 0
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        run += 1
        failed += any(case.find(kind) is not None for kind in ("failure", "error"))
        left_out += any("left out:" in (out.text or "") for kind in ("system-out", "system-err") for out in case.iter(kind))
    found = re.search(r"Summary .*?(\d+) skipped", re.sub(r"\x1b\[[0-9;]*m", "", log))
    return run, failed, int(found.group(1)) if found else 0, left_out


def of_cargo_test(log):
    run = failed = skipped = 0
    for passed, bad, ignored in re.findall(r"test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored", log):
        run += int(passed) + int(bad)
        failed += int(bad)
        skipped += int(ignored)
    return run, failed, skipped, len(re.findall(r"^left out:", log, re.M))


def main():
    log = open(sys.argv[1], encoding="utf-8", errors="replace").read()
    counts = of_nextest(log, sys.argv[2]) if os.path.exists(sys.argv[2]) else of_cargo_test(log)
    run, failed, skipped, left_out = counts
    print(f"tests = {run}, failed = {failed}, skipped = {skipped}, left out (../shared is absent) = {left_out}")
    print(f"{run - failed} passed, {failed} failed, {skipped} skipped")
    return 0 if run else "no test ran"


sys.exit(main())
