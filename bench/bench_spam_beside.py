"""rspamd of Debian's package on the mail that `python -m postroom.testing.spam` is measured with.

rspamd runs with the package's rules and its Bayes on SQLite (its default is Redis), learns the same part and judges the
same other part over HTTP on loopback. Whatever asks the network is off, as for Postroom: lists, fuzzy hashes, SPF,
DKIM, DMARC. It hears the peer's address when there is one.

    python bench/bench_spam_beside.py [--corpus FOLDER] [--count 2000] [--seed 1] [--swap]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from postroom.filter.scoring import Score
from postroom.testing.spam.__main__ import corpus
from postroom.testing.spam.make import READER, Sample
from postroom.testing.spam.measure import Outcome, Result

TICK = os.sysconf("SC_CLK_TCK")
OFF = (
    "rbl fuzzy_check asn spf dkim arc dmarc mx_check neural replies greylist ratelimit history_redis dkim_signing "
    "mid milter_headers antivirus external_services metadata_exporter url_redirector hfilter reputation known_senders "
    "clickhouse elastic aws_s3 bimi p0f url_reputation multimap once_received"
)
JUNK = 6.0  # add_header of its package


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def configured(folder: Path, normal: int, control: int) -> list[str]:
    """The package's configuration with ours over it, and the command."""
    confdir = folder / "etc"
    shutil.copytree("/etc/rspamd", confdir)
    local = confdir / "local.d"
    local.mkdir(exist_ok=True)
    for name in OFF.split():
        (local / f"{name}.conf").write_text("enabled = false;\n")
    (local / "options.inc").write_text(
        'dns { nameserver = ["127.0.0.1:9"]; timeout = 0.01s; retransmits = 1; }\nlocal_addrs = [];\n'
    )
    (local / "worker-normal.inc").write_text(f'bind_socket = "127.0.0.1:{normal}";\ncount = 1;\n')
    (local / "worker-controller.inc").write_text(
        f'bind_socket = "127.0.0.1:{control}";\nsecure_ip = "127.0.0.1";\ncount = 1;\n'
    )
    (local / "worker-proxy.inc").write_text("enabled = false;\n")
    (local / "logging.inc").write_text(f'type = "file";\nfilename = "{folder}/log";\nlevel = "warning";\n')
    statistic = confdir / "statistic.conf"
    statistic.write_text(
        'classifier "bayes" {\n  tokenizer { name = "osb"; }\n  cache { type = "sqlite3"; path = "'
        f'{folder}/learned.sqlite"; }}\n  backend = "sqlite3";\n  min_tokens = 11;\n  min_learns = 100;\n'
        f'  statfile {{ symbol = "BAYES_HAM"; path = "{folder}/ham.sqlite"; spam = false; }}\n'
        f'  statfile {{ symbol = "BAYES_SPAM"; path = "{folder}/spam.sqlite"; spam = true; }}\n}}\n'
    )
    places = {"CONFDIR": confdir, "LOCAL_CONFDIR": confdir, "DBDIR": folder, "RUNDIR": folder, "LOGDIR": folder}
    variables = [f"--var={name}={place}" for name, place in places.items()]
    return ["rspamd", "-f", "-i", "-c", str(confdir / "rspamd.conf"), *variables]


def asked(port: int, path: str, sample: Sample) -> dict[str, Any]:
    """One request. Raises OSError."""
    head = {"Rcpt": READER, "From": sample.author or "x@example.org", "Helo": "mail.example.net"}
    if sample.facts.ip:
        head["IP"] = sample.facts.ip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, sample.octets, {key: value for key, value in head.items() if value.isascii()})
    answer = connection.getresponse().read()
    connection.close()
    try:
        found: dict[str, Any] = json.loads(answer)
    except json.JSONDecodeError:
        return {"error": answer[:200].decode("utf-8", "replace")}
    return found


def cpu(pid: int) -> float:
    """Seconds of the process and of its children."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(entry.name) == pid or int(fields[1]) == pid:
                total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory(pid: int) -> float:
    """MiB of the process and of its children, what they share counted once (Pss)."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(entry.name) == pid or int(fields[1]) == pid:
                    rollup = (entry / "smaps_rollup").read_text()
                    total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            except OSError:
                continue
    return total / 1024


def until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    while time.monotonic() < began + 120:
        if process.poll() is not None:
            raise SystemExit("rspamd did not start")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("rspamd does not answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--swap", action="store_true")
    options = parser.parse_args()
    train, held = corpus(options.corpus, options.count, options.seed)
    if options.swap:
        train, held = held, train
    folder = Path(tempfile.mkdtemp(prefix="rspamd-beside-"))
    normal, control = free_port(), free_port()
    process = subprocess.Popen(configured(folder, normal, control))
    try:
        until_up(normal, process)
        until_up(control, process)
        answers = [asked(control, "/learnspam" if one.spam else "/learnham", one) for one in train]
        refused = sum("error" in answer for answer in answers)
        print(next((answer for answer in answers if "error" in answer), ""))
        before = cpu(process.pid)
        outcome = Outcome(learned=len(train) - refused)
        for one in held:
            found = asked(normal, "/checkv2", one)
            outcome.results.append(Result(one, Score(float(found["score"]), ()), 0.0))
        spent = (cpu(process.pid) - before) / len(held) * 1e3
        print(f"rspamd learned {outcome.learned} ({refused} refused), judged {len(held)}")
        print(f"wanted mail lost where 99 % of the unwanted is caught: {outcome.lost(0.99):.2%}")
        print(f"wanted mail lost where 95 % of the unwanted is caught: {outcome.lost(0.95):.2%}")
        print(f"unwanted mail caught at 0.1 % false alarms: {outcome.caught(0.001):.2%}")
        caught, lost = outcome.share(True, JUNK), outcome.share(False, JUNK)
        print(f"at its score of {JUNK:g}: {caught:.2%} caught, {lost:.3%} lost")
        print(f"judging: {spent:.2f} ms of CPU in the mean; memory {memory(process.pid):.0f} MiB")
        for kind, count in [(kind, count) for kind, count in outcome.wrong(JUNK).most_common(20)]:
            print(f"  {count:5} {kind}")
    finally:
        process.terminate()
        process.wait(30)
        print((folder / "log").read_text("utf-8", "replace")[-1500:] if (folder / "log").exists() else "")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
