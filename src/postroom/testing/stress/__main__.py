"""python -m postroom.testing.stress: many clients at random on a server of two workers, until the time is over.

python -m postroom.testing.stress --seconds 600 --clients 16
python -m postroom.testing.stress --replay stress-4711/steps.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from random import SystemRandom
from typing import Any

from postroom.testing.stress import record
from postroom.testing.stress.client import Server
from postroom.testing.stress.noise import Noise, Target
from postroom.testing.stress.run import Failed, Outcome, Person, Plan, Run

_PORTS = (25, 587, 465, 24, 143, 993, 110, 995, 443, 9464)


def main() -> int:
    """The command."""
    options = _options().parse_args()
    steps = None
    if options.replay:
        manners, steps = record.read(Path(options.replay))
        options.clients = len(manners)
        options.seed = int(Path(options.replay).parent.name.rpartition("-")[2])
    seed = options.seed or SystemRandom().randrange(1, 1 << 31)
    print(f"seed {seed}, {options.clients} clients, {options.workers} workers, {options.seconds} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="postroom-stress-") as folder:
        process, told = start(Path(folder), options.workers)
        try:
            outcome = asyncio.run(_run(told, options, seed, steps))
        except Failed as fault:
            print(f"FAILED: {fault}", file=sys.stderr)
            return 1
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    print(f"{outcome.steps} steps, {outcome.facts} facts, {outcome.messages} messages left: all agree")
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m postroom.testing.stress", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--clients", type=int, default=12, help="how many (12)")
    parser.add_argument("--workers", type=int, default=2, help="of the server (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the random steps; 0: a new one")
    parser.add_argument("--quiet", action="store_true", help="no mail from outside and no POP3 client beside")
    parser.add_argument("--reports", default=".", help="folder for what is written about a failure (.)")
    parser.add_argument("--replay", default="", help="do the steps of such a file once more")
    return parser


def start(folder: Path, workers: int) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """`postroom demo` in this folder, and what it told about itself."""
    command = [sys.executable, "-m", "postroom.cli.main", "demo", "--json", "--keep", str(folder)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--port-offset", str(_free_offset()), "--workers", str(workers)],
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr.log").open("w"),
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("the demo did not start: " + (folder / "stderr.log").read_text()[-2000:])
    return process, json.loads(line)


def _free_offset() -> int:
    for offset in range(33000, 52000, 1000):
        try:
            for port in _PORTS:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", offset + port))
        except OSError:
            continue
        return offset
    raise SystemExit("no free ports")


def plan_for(told: dict[str, Any], seed: int, **options: Any) -> Plan:
    """A plan for a demo that has told about itself."""
    context = ssl.create_default_context(cafile=told["certificate"])
    context.check_hostname = False
    people = [Person(user["login"], user["password"]) for user in told["users"][:2]]
    return Plan(Server(told["host"], told["ports"]["imaps"], context), people, seed, **options)


async def _run(told: dict[str, Any], options: argparse.Namespace, seed: int, steps: Any) -> Outcome:
    plan = plan_for(
        told,
        seed,
        seconds=options.seconds,
        clients=options.clients,
        reports=Path(options.reports),
        leaky=frozenset() if options.quiet else frozenset(("INBOX",)),
    )
    run = Run(plan)
    if steps is not None:
        return await run.replay(steps)
    if options.quiet:
        return await run.play()
    return await with_noise(run, told)


async def with_noise(run: Run, told: dict[str, Any]) -> Outcome:
    """Play while mail comes and goes. Raises Failed."""
    plan = run.plan
    owner = plan.people[0]
    target = Target(
        host=told["host"],
        smtp=told["ports"]["smtp"],
        pop3s=told["ports"]["pop3s"],
        tls=plan.server.tls,
        login=owner.login,
        password=owner.password,
    )
    noise = Noise(target)
    noise.start()
    loop = asyncio.get_running_loop()
    quiet = loop.call_later(plan.seconds, loop.run_in_executor, None, noise.stop)
    try:
        outcome = await run.play()
    finally:
        quiet.cancel()
        await asyncio.to_thread(noise.stop)
    if noise.faults:
        raise Failed(f"seed {plan.seed}: beside the clients: {noise.faults}")
    return outcome


if __name__ == "__main__":
    sys.exit(main())
