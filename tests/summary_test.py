"""The summary can fail: each case is a run that must not pass, beside one that must."""

import contextlib
import io
import os
import tempfile
import unittest

import summary

ABSENT = "left out: ../shared/data is absent"
DONE = "Summary [ 1.0s] 2 tests run: 2 passed, 0 skipped"


def case(name, inside=""):
    return f'<testcase name="{name}" classname="isocenter">{inside}</testcase>'


def said(text):
    return f"<system-out>running 1 test\n</system-out><system-err>{text}\n</system-err>"


class Summary(unittest.TestCase):
    def summed(self, log, cases=None, some=False):
        """Returns the exit code and what was printed."""
        with tempfile.TemporaryDirectory() as folder:
            log_path, junit = os.path.join(folder, "log"), os.path.join(folder, "junit.xml")
            with open(log_path, "w", encoding="utf-8") as file:
                file.write(log)
            if cases is not None:
                with open(junit, "w", encoding="utf-8") as file:
                    file.write(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                code = summary.main((["--some"] if some else []) + [log_path, junit])
            return code, printed.getvalue()

    def test_a_whole_run_passes(self):
        code, printed = self.summed(DONE, [case("a"), case("b")])
        self.assertEqual(code, 0)
        self.assertIn("tests = 2, failed = 0, skipped = 0, left out (../shared is absent) = 0", printed)

    def test_absent_shared_data_is_counted_by_test_and_passes(self):
        code, printed = self.summed(DONE, [case("a", said(f"{ABSENT}\n{ABSENT}")), case("b")])
        self.assertEqual(code, 0)
        self.assertIn("absent) = 1", printed)

    def test_a_missing_tool_fails_and_is_named(self):
        code, printed = self.summed(DONE, [case("a", said("left out: dciodvfy is not installed")), case("b")])
        self.assertEqual(code, 1)
        self.assertIn("isocenter a: dciodvfy is not installed", printed)
        self.assertIn("absent) = 0", printed)

    def test_shared_data_is_no_excuse_for_something_else(self):
        code, _ = self.summed(DONE, [case("a", said(f"{ABSENT}\nleft out: no PostgreSQL"))])
        self.assertEqual(code, 1)

    def test_a_skipped_test_fails_unless_some_were_chosen(self):
        log = DONE.replace("0 skipped", "\x1b[1m3\x1b[0m skipped")
        self.assertEqual(self.summed(log, [case("a")])[0], 1)
        self.assertEqual(self.summed(log, [case("a")], some=True)[0], 0)

    def test_a_failed_test_fails(self):
        self.assertEqual(self.summed(DONE, [case("a", "<failure/>"), case("b")])[0], 1)

    def test_no_tests_fail(self):
        self.assertEqual(self.summed(DONE, [])[0], 1)
        self.assertEqual(self.summed("")[0], 1)

    def test_the_log_of_cargo_test_is_read_alike(self):
        result = "test result: ok. 5 passed; 0 failed; {} ignored; 0 measured; 0 filtered out\n"
        block = "successes:\n\n---- engines stdout ----\n{}\n\n\nsuccesses:\n    engines\n"
        self.assertEqual(self.summed(result.format(0))[0], 0)
        self.assertEqual(self.summed(result.format(1))[0], 1)
        code, printed = self.summed(block.format(ABSENT) + result.format(0))
        self.assertEqual(code, 0)
        self.assertIn("tests = 5, failed = 0, skipped = 0, left out (../shared is absent) = 1", printed)
        code, printed = self.summed(block.format("left out: no S3") + result.format(0))
        self.assertEqual(code, 1)
        self.assertIn("engines: no S3", printed)


if __name__ == "__main__":
    unittest.main()
