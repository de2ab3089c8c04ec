"""Reports read by hand, and reports that are none."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verigrad.sandbox.junit import Case, ReportError, case_of, read_report


def report(*cases):
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()


def case(name, inner="", classname="tests.test_a"):
    return f'<testcase classname="{classname}" name="{name}">{inner}</testcase>'


def test_what_became_of_each():
    body = report(
        case("test_p", "<properties/><system-out>FAILED</system-out>"),
        case("test_f", '<failure message="assert 1 == 2">longer</failure>'),
        case("test_e", '<error message="fixture"/>'),
        case("test_s", '<skipped type="pytest.skip" message="why"/>'),
        case("test_x", '<skipped type="pytest.xfail" message=""/>'),
    )
    found = {name: found for (_, name), found in read_report(body).items()}
    assert found == {
        "test_p": Case("passed"),
        "test_f": Case("failed", "assert 1 == 2"),
        "test_e": Case("error", "fixture"),
        "test_s": Case("skipped", "why"),
        "test_x": Case("xfailed"),
    }


def test_of_duplicates_the_worst_counts():
    passed, failed, error = case("test_a"), case("test_a", "<failure/>"), case("test_a", "<error/>")
    for order in ([passed, failed], [failed, passed], [passed, failed, passed]):
        assert read_report(report(*order))["tests.test_a", "test_a"].status == "failed"
    assert read_report(report(case("test_a", "<error/><failure/>")))["tests.test_a", "test_a"].status == "error"
    assert read_report(report(failed, error))["tests.test_a", "test_a"].status == "error"


def test_ids_as_pytest_writes_them():
    assert case_of("a/b/test_c.py::test_d") == ("a.b.test_c", "test_d")
    assert case_of("test_c.py::TestD::TestE::test_f[a.py::b/c]") == ("test_c.TestD.TestE", "test_f[a.py::b/c]")
    assert case_of("test_c.py::test_d[\x1b]") == ("test_c", "test_d[#x1B]")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "malformed"),
        (b"no xml", "malformed"),
        (b"<a><b></a>", "malformed"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        (report("<testcase><testcase/></testcase>"), "within a test case"),
        (b"<a>" + b"x" * 16_000_000, "over 16000000"),
    ],
)
def test_what_is_no_report(body, why):
    with pytest.raises(ReportError, match=why):
        read_report(body)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(max_size=300), st.text(alphabet="<>/&;testcaskipdfilur=\" '!-[]", max_size=200).map(str.encode))
)
def test_no_bytes_are_too_strange(body):
    with contextlib.suppress(ReportError):
        assert all(isinstance(found, Case) for found in read_report(body).values())
