"""The behaviour list covers every section of each document that says what scripts do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .cases import FOLDER, read_cases

TESTS = Path(__file__).parents[1]

#: document -> its sections that say how something behaves
SECTIONS = {
    "RFC 3894": "3",
    "RFC 5173": "4 5.1 5.2 5.3 6",
    "RFC 5183": "4 4.1",
    "RFC 5228": "2.1 2.2 2.3 2.4.1 2.4.2 2.4.2.1 2.4.2.2 2.4.2.3 2.4.2.4 2.5 2.5.1 2.6.1 2.6.2 2.6.3 2.6.4 2.7.1 2.7.2"
    " 2.7.3 2.7.4 2.8 2.9 2.10.1 2.10.2 2.10.3 2.10.4 2.10.5 2.10.6 2.10.7 3.1 3.2 3.3 4.1 4.2 4.3 4.4 5.1 5.2 5.3 5.4"
    " 5.5 5.6 5.7 5.8 5.9 5.10 8.1 8.2",
    "RFC 5229": "3 3.1 3.2 4 4.1 4.1.1 4.1.2 4.1.3 5 6",
    "RFC 5230": "4 4.1 4.2 4.3 4.4 4.5 4.6 4.7 5.1 5.2 5.3 5.4 5.5 5.6 5.7 5.8",
    "RFC 5231": "4 4.1 4.2 5 6 7",
    "RFC 5232": "2 3 3.1 3.2 3.3 4 5",
    "RFC 5233": "4",
    "RFC 5235": "2 3.2 3.2.1 3.2.2 3.3",
    "RFC 5260": "4 4.1 4.2 4.3 5 6",
    "RFC 5293": "4 5 6 7",
    "RFC 5429": "2.1 2.1.1 2.2 2.2.1 2.4 2.5",
    "RFC 5435": "3 3.2 3.3 3.4 3.5 3.6 3.8 4 5 6 7",
    "RFC 5436": "2.2 2.7",
    "RFC 5463": "4 5",
    "RFC 5490": "3.1 3.2 3.3 3.4 4",
    "RFC 5703": "3 4.1 4.2 4.3 4.4 5 6 7",
    "RFC 6131": "2",
    "RFC 6609": "3.1 3.2 3.3 3.4 3.4.1 3.4.2 3.5",
    "RFC 6785": "2.2.1 2.2.2 2.2.3 2.2.4 2.3.1 3.1 3.2 3.3 3.4 3.5 3.6 3.7 3.8 3.9 3.10 3.11 4.1 4.2 4.3 4.4 4.5"
    " 4.6 5 6",
    "RFC 7352": "3 3.1 3.2 3.3",
    "RFC 8579": "3 4 4.1",
    "RFC 8580": "3",
    "RFC 9042": "4 4.1 4.2",
}
#: what is about mail that leaves, or about the account: the test that plays it on a real store
ELSEWHERE = {
    "RFC 5230 4.5": "delivery/test_sorting.py::test_vacation_answers_what_is_addressed_to_the_user_only",
    "RFC 5230 4.6": "delivery/test_sorting.py::test_whom_vacation_does_not_answer",
    "RFC 5230 5.1": "delivery/test_sorting.py::test_vacation_answers_once_in_its_time",
    "RFC 5230 5.2": "delivery/test_sorting.py::test_vacation_answers_once_in_its_time",
    "RFC 5230 5.5": "delivery/test_sorting.py::test_vacation_answers_once_in_its_time",
    "RFC 5230 5.6": "delivery/test_sorting.py::test_vacation_answers_once_in_its_time",
    "RFC 5230 5.8": "delivery/test_sorting.py::test_vacation_answers_once_in_its_time",
    "RFC 5429 2.1.1": "delivery/test_sorting.py::test_refused_before_it_is_accepted",
    "RFC 5429 2.2.1": "delivery/test_sorting.py::test_reject_gives_the_mail_back",
    "RFC 5436 2.7": "delivery/test_sorting.py::test_notify",
    "RFC 6785 2.2.1": "delivery/test_reacting.py::test_append_runs_the_script_of_the_mailbox",
    "RFC 6785 2.2.2": "delivery/test_reacting.py::test_copies_and_moves_are_copies",
    "RFC 6785 2.2.4": "delivery/test_reacting.py::test_without_keep_the_original_is_deleted",
    "RFC 6785 2.3.1": "delivery/test_reacting.py::test_the_servers_script",
    "RFC 6785 6": "delivery/test_reacting.py::test_what_scripts_do_starts_no_script",
}
_CITED = re.compile(r"(RFC \d+)((?: ?,? ?\d+(?:\.\d+)*\b(?! *RFC))*)")


def cited() -> set[str]:
    """Sections in the names of cases: "… (RFC 5228 2.3, 8.1)", "… of RFC 5231 6"."""
    found: set[str] = set()
    for path in FOLDER.glob("*.txt"):
        for case in read_cases(path):
            for document, sections in _CITED.findall(case.name):
                found.update(f"{document} {section}" for section in re.findall(r"\d+(?:\.\d+)*", sections))
    return found


@pytest.mark.parametrize("document", SECTIONS)
def test_every_section_has_a_case(document: str) -> None:
    known = cited() | set(ELSEWHERE)
    missing = [section for section in SECTIONS[document].split() if f"{document} {section}" not in known]
    assert missing == []


@pytest.mark.parametrize("section", ELSEWHERE)
def test_what_is_proven_elsewhere_is(section: str) -> None:
    path, _, name = ELSEWHERE[section].partition("::")
    assert f"def {name}(" in (TESTS / path).read_text()
    document, _, number = section.rpartition(" ")
    assert number in SECTIONS[document].split()
