"""python -m postroom.testing.spam: trains the filter with one part of a corpus, judges the other, prints the figures.

python -m postroom.testing.spam --count 4000
python -m postroom.testing.spam --corpus FOLDER
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from postroom.testing.spam import folders
from postroom.testing.spam.make import Sample, samples
from postroom.testing.spam.measure import Outcome, measured
from postroom.testing.spam.templates import HELD, TRAIN

JUNK = 5.0


def main() -> int:
    """The command."""
    options = _options().parse_args()
    train, held = corpus(options.corpus, options.count, options.seed)
    if options.swap:
        train, held = held, train
    with tempfile.TemporaryDirectory(prefix="postroom-spam-") as folder:
        outcome = asyncio.run(measured(train, held, Path(folder)))
    for line in told(outcome):
        print(line)
    for one in outcome.results if options.wrong else ():
        if (one.score.points >= JUNK) is not one.sample.spam:
            print(f"\n{'missed' if one.sample.spam else 'LOST'} {one.sample.kind} {one.sample.author}")
            print("   ", one.score.points, "; ".join(f"{each.name} {each.points:+g}" for each in one.score.reasons))
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m postroom.testing.spam", description=__doc__)
    parser.add_argument("--corpus", default="", metavar="FOLDER", help="real mail instead of made mail")
    parser.add_argument("--count", type=int, default=2000, help="made messages of each kind and part (2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the made mail (1)")
    parser.add_argument("--swap", action="store_true", help="learn what is held out, and judge the rest")
    parser.add_argument("--wrong", action="store_true", help="print each message on the wrong side of 5, and why")
    return parser


def corpus(folder: str, count: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """What is learned, and what is judged; made mail when folder is ""."""
    parts: dict[str, list[Sample]] = {}
    for part in (TRAIN, HELD):
        if folder:
            both = [list(folders.read(Path(folder), part, spam)) for spam in (True, False)]
        else:
            both = [list(samples(part, spam, count, seed)) for spam in (True, False)]
        parts[part] = [*both[0], *both[1]]
    return parts[TRAIN], parts[HELD]


def told(outcome: Outcome) -> list[str]:
    """The figures, a line each."""
    wanted, unwanted = outcome.points(False), outcome.points(True)
    mean, most = outcome.costs()
    size = sum(len(one.sample.octets) for one in outcome.results) / len(outcome.results) / 1024
    lines = [
        f"learned {outcome.learned}, judged {len(wanted)} wanted and {len(unwanted)} unwanted messages",
        f"wanted mail lost where 99 % of the unwanted is caught: {outcome.lost(0.99):.2%}",
        f"wanted mail lost where 95 % of the unwanted is caught: {outcome.lost(0.95):.2%}",
        f"unwanted mail caught at 0.1 % false alarms: {outcome.caught(0.001):.2%}",
        f"at a score of 5: {outcome.share(True, JUNK):.2%} caught, {outcome.share(False, JUNK):.3%} lost",
        f"judging: {mean:.2f} ms of CPU in the mean, {most:.2f} ms at the 99th percentile, {size:.1f} KiB a message",
        f"memory of the process: {outcome.memory:.0f} MiB at most",
    ]
    lines += [f"  {count:5} {kind}" for kind, count in outcome.wrong(JUNK).most_common(20)]
    return lines


if __name__ == "__main__":
    sys.exit(main())
