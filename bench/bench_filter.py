"""What judging a message costs, and how well learned words tell mail apart that was not learned.

Messages are made by chance from word lists that overlap (each kind uses words of the other, now and then): the figures
show the machinery, not how it does on the mail of the world.

    python bench/bench_filter.py [--messages 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import tempfile
import time

from postroom.config import Blocklist
from postroom.filter import rules
from postroom.filter.judge import Judge, Known, Sources
from postroom.filter.seen import see
from postroom.filter.tokens import tokens
from postroom.mailauth.zone import ZoneData
from postroom.policy.blocklists import Blocklists
from postroom.store.api import EVERYBODY, Lesson
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content

WORDS = 6_000
NOW = 1_795_000_000.0


def vocabulary(chance: random.Random) -> list[str]:
    letters = "etaoinshrdlucmfwypvbgk"
    return ["".join(chance.choices(letters, k=chance.randint(3, 10))) for _ in range(WORDS)]


class Corpus:
    """Mail of two kinds. Each kind has words of its own topics and the common ones, of Zipf's frequency."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        words = vocabulary(random.Random(1))
        self.common, self.wanted, self.unwanted = words[:3000], words[3000:4800], words[4200:6000]  # 600 of both

    def message(self, spam: bool) -> Content:
        chance = self.chance
        own = self.unwanted if spam else self.wanted
        other = self.wanted if spam else self.unwanted
        text = [
            self.pick(own if (draw := chance.random()) < 0.25 else other if draw < 0.30 else self.common)
            for _ in range(chance.randint(60, 600))
        ]
        sender = f"{chance.choice(own)}@{chance.choice(own)}.example"
        head = f"From: {sender}\r\nTo: ann@example.org\r\nSubject: {' '.join(text[:5])}\r\n"
        head += "Date: Wed, 18 Nov 2026 10:00:00 +0000\r\n"
        head += f"Message-ID: <{chance.getrandbits(60)}@x.example>\r\nContent-Type: text/plain; charset=utf-8\r\n"
        lines = "\r\n".join(" ".join(text[at : at + 12]) for at in range(0, len(text), 12))
        return Content.of(f"{head}\r\n{lines}\r\n".encode())

    def pick(self, words: list[str]) -> str:
        return words[min(int(self.chance.paretovariate(0.9)) - 1, len(words) - 1)]


def lost(wanted: list[float], unwanted: list[float], caught: float) -> float:
    """Share of wanted mail at or above the score that so much unwanted mail reaches."""
    bound = sorted(unwanted)[int(len(unwanted) * (1 - caught))]
    return sum(score >= bound for score in wanted) / len(wanted)


async def main(count: int) -> None:
    corpus = Corpus(7)
    store = EmbeddedStore(tempfile.mkdtemp(prefix="postroom-bench-"), 0)
    clock = SystemClock()
    no_lists: list[Blocklist] = []
    judge = Judge(
        Sources(
            training=store.training,
            limits=store.limits,
            directory=store.directory,
            blocklists=Blocklists(ZoneData({}), no_lists, clock, lambda name, /, **fields: None),
            rules=rules.load([rules.built_in()]),
        )
    )
    known = Known(ip="192.0.2.1", now=NOW)
    fresh = [corpus.message(number % 2 == 0) for number in range(count // 2)]
    began = time.process_time()
    for content in fresh:
        await judge.judge(content, known, [])
    print(f"judging, nothing learned: {(time.process_time() - began) / len(fresh) * 1e3:.2f} ms CPU a message")
    began = time.process_time()
    for number in range(count):
        spam = number % 2 == 0
        lesson = Lesson(id=str(number), tokens=tuple(tokens(see(corpus.message(spam)))), spam=spam)
        await store.training.learn(EVERYBODY, [lesson], NOW)
    print(f"learning: {(time.process_time() - began) / count * 1e3:.2f} ms CPU a message")
    scores: tuple[list[float], list[float]] = ([], [])
    held = [(number % 2 == 0, corpus.message(number % 2 == 0)) for number in range(count)]
    size = sum(content.size for _, content in held) / len(held)
    began = time.process_time()
    for spam, content in held:
        scores[spam].append((await judge.judge(content, known, [])).score.points)
    cost = (time.process_time() - began) / count * 1e3
    print(f"judging, {count} learned: {cost:.2f} ms CPU a message of {size / 1024:.1f} KiB in the mean")
    wanted, unwanted = scores
    for caught in (0.9, 0.95, 0.99):
        print(f"wanted mail lost where {caught:.0%} of unwanted is caught: {lost(wanted, unwanted, caught):.2%}")
    false = sum(score >= 5 for score in wanted) / len(wanted)
    print(f"at a score of 5: {sum(score >= 5 for score in unwanted) / len(unwanted):.1%} caught, {false:.2%} lost")
    print(f"memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=2000)
    asyncio.run(main(parser.parse_args().messages))
