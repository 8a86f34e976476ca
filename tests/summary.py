"""Prints how many tests ran, failed, were skipped and were left out, and fails when that is not all of them.

summary.py [--some] LOG JUNIT.xml: JUNIT is what nextest wrote; without it the log of `cargo test -- --show-output` is read.

A test that cannot be made says `left out: WHY` and passes. One reason is good: `../shared` (the test data beside the clone) is
absent. Any other means that this machine lacks what the suite itself installs, so it fails the run, as does a test that is
skipped (`#[ignore]`), a failed one, and a suite in which nothing ran. With `--some`, for a run of chosen tests, those not chosen
are no fault.
"""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree

LEFT_OUT = re.compile(r"^left out: *(.*)$", re.M)


class Counts:
    def __init__(self):
        self.run = self.failed = self.skipped = self.absent = 0
        self.others = []

    def leave_out(self, test, reasons):
        """Counts a test by what it said; a test that also lacks something else is not merely without ../shared."""
        others = [reason for reason in reasons if "../shared" not in reason]
        if others:
            self.others.append(f"{test}: {others[0]}")
        elif reasons:
            self.absent += 1

    def faults(self, some):
        if self.failed:
            yield f"{self.failed} failed"
        if self.skipped and not some:
            yield f"{self.skipped} skipped"
        if self.others:
            yield f"{len(self.others)} left out, and not because ../shared is absent"
        if not self.run:
            yield "no test ran"


def of_nextest(log, junit):
    counts = Counts()
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        counts.run += 1
        counts.failed += any(case.find(kind) is not None for kind in ("failure", "error"))
        said = "\n".join(out.text or "" for kind in ("system-out", "system-err") for out in case.iter(kind))
        counts.leave_out(f"{case.get('classname')} {case.get('name')}", LEFT_OUT.findall(said))
    found = re.search(r"Summary .*?(\d+) skipped", re.sub(r"\x1b\[[0-9;]*m", "", log))
    counts.skipped = int(found.group(1)) if found else 0
    return counts


def of_cargo_test(log):
    counts = Counts()
    for passed, bad, ignored in re.findall(r"test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored", log):
        counts.run += int(passed) + int(bad)
        counts.failed += int(bad)
        counts.skipped += int(ignored)
    # The output of each test stands below its name.
    parts = re.split(r"^---- (.+) stdout ----$", log, flags=re.M)
    for test, said in zip(parts[1::2], parts[2::2]):
        counts.leave_out(test, LEFT_OUT.findall(said))
    return counts


def main(arguments):
    some = arguments[:1] == ["--some"]
    log_path, junit = arguments[some:]
    with open(log_path, encoding="utf-8", errors="replace") as file:
        log = file.read()
    counts = of_nextest(log, junit) if os.path.exists(junit) else of_cargo_test(log)
    for other in counts.others:
        print(f"left out: {other}")
    print(
        f"tests = {counts.run}, failed = {counts.failed}, skipped = {counts.skipped}{' (not chosen)' if some else ''}, "
        f"left out (../shared is absent) = {counts.absent}"
    )
    print(f"{counts.run - counts.failed} passed, {counts.failed} failed, {counts.skipped} skipped")
    faults = list(counts.faults(some))
    if faults:
        print("NOT GOOD: " + "; ".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
