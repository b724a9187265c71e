"""Numbers in shared memory, and the text Prometheus reads."""

from __future__ import annotations

import os
import re

from postroom.observe.exposition import Page
from postroom.observe.meters import BOUNDS, Histogram, Meters, Reading


def test_every_process_reads_what_the_others_wrote() -> None:
    meters = Meters(3)
    assert meters.read(1) is None
    pid = os.fork()
    if not pid:
        meters.write(1, Reading(time=5.0, pid=os.getpid(), counts={"x.y": 3}, gauges={"sessions/imap": 2.0}))
        os._exit(0)
    os.waitpid(pid, 0)
    found = meters.read(1)
    assert found is not None
    assert (found.pid, found.counts, found.gauges) == (pid, {"x.y": 3}, {"sessions/imap": 2.0})
    assert meters.read(0) is meters.read(2) is None


def test_a_place_that_is_torn_or_too_full_is_not_believed() -> None:
    meters = Meters(2)
    meters.write(0, Reading(counts={"x.y": 1}))
    meters.write(0, Reading(counts={f"name{number}": number for number in range(10_000)}))
    assert meters.read(0) == Reading(counts={"x.y": 1})
    meters._memory[12] ^= 0xFF
    assert meters.read(0) is None
    meters._memory[:8] = b"\xff" * 8
    assert meters.read(0) is None


def test_a_histogram_counts_up_to_each_bound() -> None:
    times = Histogram()
    for seconds in (0.0, 0.0005, 0.0006, 0.3, 99.0):
        times.add(seconds)
    assert times.counts[:2] == [2, 1]
    assert times.counts[BOUNDS.index(0.5)] == 1
    assert times.counts[-1] == 1
    assert times.plus(times).sum == 2 * times.sum
    page = Page()
    page.histogram("x_seconds", "How long.", [({"file": "mail"}, times)])
    lines = page.text().splitlines()
    assert lines[:2] == ["# HELP x_seconds How long.", "# TYPE x_seconds histogram"]
    assert lines[2] == 'x_seconds_bucket{file="mail",le="0.0005"} 2'
    assert lines[-3:] == [
        'x_seconds_bucket{file="mail",le="+Inf"} 5',
        'x_seconds_sum{file="mail"} 99.3011',
        'x_seconds_count{file="mail"} 5',
    ]


def test_the_text_format() -> None:
    page = Page()
    page.gauge("a", "With \\ and\nnewline", [({}, 1.5), ({"l": 'quo"te\\\n'}, 3)])
    page.counter("b_total", "Nothing yet", [])
    assert page.text() == (
        '# HELP a With \\\\ and\\nnewline\n# TYPE a gauge\na 1.5\na{l="quo\\"te\\\\\\n"} 3\n'
        "# HELP b_total Nothing yet\n# TYPE b_total counter\n"
    )
    assert re.fullmatch(r"([ -~]+\n)+", page.text())
