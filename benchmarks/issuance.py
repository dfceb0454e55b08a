"""Certificates per second: one certcore worker with full persistence, against a bare loop over the `acme` package.

Both issue certificates of one name from Pebble (validation delays off) with the same number of orders in flight, in
turn, in one run, so that only the ratio is to be quoted:

    python benchmarks/issuance.py [--certificates 200] [--in-flight 4] [--rounds 2] [--processes 1]
    python benchmarks/issuance.py --hard --certificates 50

certcore: SQLite on disk, every step committed, the CNAME checked before the order and the TXT value before the
answer, the TXT values served by the embedded DNS server in a process of its own. With more than one process, each runs
a worker on the same database, with its share of the orders in flight. The bare loop: no storage, no checks,
TXT values set in pebble-challtestsrv, polling shortened to 5 ms. It is tried with one order in flight as well, and the
better of its two rates counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.synchronize
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import josepy
from acme import challenges, client, messages
from cryptography.hazmat.primitives.asymmetric import ec

from certcore import CertCore
from certcore.model.hints import DnsRecords
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.pebble import ChallTestSrv, Pebble
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key

_STARTED_WITHIN = 30.0
_ISSUED_WITHIN = 300.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--certificates", type=int, default=200, help="how many in all, for each side")
    options.add_argument("--in-flight", type=int, default=4, help="orders in flight; Pebble hangs beyond 4")
    options.add_argument("--rounds", type=int, default=2, help="in how many turns")
    options.add_argument("--threads", type=int, default=2, help="threads of the worker")
    options.add_argument("--processes", type=int, default=1, help="processes with a worker each")
    options.add_argument("--hard", action="store_true", help="certcore alone; half of all nonces refused, and delays")
    chosen = options.parse_args()
    if chosen.hard:
        count = chosen.certificates
        rate, _ = issue_with_certcore(count, chosen.in_flight, chosen.threads, nonce_reject=50, sleep=True)
        print(f"{count} of {count} certificates are active, at {rate:.1f} per second")
        return
    per_round = chosen.certificates // chosen.rounds
    ours, theirs, theirs_alone, requests = [], [], [], []
    for number in range(chosen.rounds):
        rate, sent = issue_with_certcore(per_round, chosen.in_flight, chosen.threads, chosen.processes)
        ours.append(rate)
        requests.append(sent)
        theirs.append(issue_with_acme(per_round, chosen.in_flight))
        theirs_alone.append(issue_with_acme(per_round, 1))
        print(
            f"round {number + 1}: certcore {ours[-1]:.1f}/s{_each(sent, chosen.processes)}, "
            f"acme loop {theirs[-1]:.1f}/s with {chosen.in_flight} in flight, {theirs_alone[-1]:.1f}/s with 1",
            flush=True,
        )
    baseline = max(statistics.median(theirs), statistics.median(theirs_alone))
    print(f"certcore   {statistics.median(ours):.1f} certificates per second{_each(max(requests), chosen.processes)}")
    print(f"acme loop  {baseline:.1f} certificates per second (the better of 1 and {chosen.in_flight} in flight)")
    print(f"ratio {statistics.median(ours) / baseline:.2f}")


def _each(requests: float, processes: int) -> str:
    """How many requests a certificate took; only the requests of this process are counted."""
    return f" ({requests:.2f} ACME requests each)" if processes == 1 else f" with {processes} processes"


def issue_with_certcore(
    count: int, in_flight: int, threads: int, processes: int = 1, **trouble: Any
) -> tuple[float, float]:
    """Certificates per second, and ACME requests per certificate without those that open the account."""
    with tempfile.TemporaryDirectory(prefix="certcore-bench-") as folder:
        url = f"sqlite:///{folder}/certcore.db"
        keyring = Path(folder) / "keyring.json"
        CertCore.create_keyring(keyring)
        with CertCore.open(url, keyring=keyring) as core:
            settings = {"ca": "custom", "terms_agreed": True, "tech_zone": "acme.panel.test", "email": "a@bench.test"}
            settings["directory_url"] = "https://127.0.0.1:1/dir"
            authority = core.authorities.create("bench", module="puq_acme", settings=settings)
            names = ["warm.bench.test", *(f"c{number:04}.bench.test" for number in range(count))]
            ids = {name: core.certificates.create(name, authority=authority.id).id for name in names}
            cnames = dict(_cname(core, one) for one in ids.values())
            with (
                serve_dns(url, str(keyring), cnames) as port,
                Pebble.start(dns_server=f"127.0.0.1:{port}", **trouble) as pebble,
            ):
                core.authorities.edit(
                    authority.id,
                    settings={
                        "directory_url": pebble.directory_url,
                        "terms_agreed": True,
                        "trusted_roots": pebble.roots_pem,
                        "dns_servers": [f"127.0.0.1:{port}"],
                    },
                )
                share = max(in_flight // processes, 1)
                with other_workers(processes - 1, url, str(keyring), share, threads) as others:
                    return _issue(core, ids, share, threads, others)


def _issue(
    core: CertCore, ids: dict[str, str], in_flight: int, threads: int, others: Sequence[Connection]
) -> tuple[float, float]:
    worker = core.worker(threads=threads, in_flight=in_flight, poll_interval=0.05)
    warm = ids.pop("warm.bench.test")
    core.certificates.generate_csr(warm)
    worker.start()
    try:
        _wait_for(core, worker, 1)
        before = _requests_sent(core)
        _tell(others, "start")
        for one in ids.values():
            core.certificates.generate_csr(one)
        # Keys and CSRs are made by the user's click, not by the worker; the clock starts with the worker's part.
        _tell(others, "stop")
        worker.stop()
        done = _active(core)
        before = _requests_sent(core) if done > 1 else before
        begun, used = time.perf_counter(), time.process_time()
        _tell(others, "start")
        worker.start()
        _wait_for(core, worker, len(ids) + 1)
        seconds, used = time.perf_counter() - begun, time.process_time() - used
    finally:
        worker.stop()
    _tell(others, "stop")
    issued = len(ids) + 1 - done
    if not others:
        print(f"  certcore: {1000 * used / issued:.1f} ms of CPU per certificate in the worker's process", flush=True)
    left = core._engine.contexts.documents(core._engine.plugins.module("puq_acme")).list("txt/")
    if left:
        raise SystemExit(f"{len(left)} TXT values were left behind")
    return issued / seconds, (_requests_sent(core) - before) / issued


@contextmanager
def other_workers(number: int, url: str, keyring: str, in_flight: int, threads: int) -> Iterator[Sequence[Connection]]:
    """Processes with a worker each, which is started and stopped when they are told so."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(number)]
    processes = [
        context.Process(target=_worker_process, args=(url, keyring, in_flight, threads, there), daemon=True)
        for _, there in pipes
    ]
    for process in processes:
        process.start()
    try:
        yield [here for here, _ in pipes]
        _tell([here for here, _ in pipes], "end")
    finally:
        for process in processes:
            process.join(10)
            if process.is_alive():
                process.kill()


def _worker_process(url: str, keyring: str, in_flight: int, threads: int, told: Connection) -> None:
    with CertCore.open(url, keyring=keyring) as core:
        worker = core.worker(threads=threads, in_flight=in_flight, poll_interval=0.05)
        while (word := told.recv()) != "end":
            worker.start() if word == "start" else worker.stop()
            told.send(word)
        told.send("end")


def _tell(workers: Sequence[Connection], word: str) -> None:
    """Tell processes what to do, and wait until they have done it."""
    for worker in workers:
        worker.send(word)
    for worker in workers:
        if not worker.poll(_STARTED_WITHIN):
            raise SystemExit(f"a process with a worker did not {word}")
        worker.recv()


def _active(core: CertCore) -> int:
    return len(core.certificates.list(status="active", limit=1000).items)


def _wait_for(core: CertCore, worker: Any, count: int) -> None:
    if not worker.wait_until_idle(timeout=_ISSUED_WITHIN):
        raise SystemExit("Pebble hung, or the worker did: not all certificates were issued in time")
    if _active(core) != count:
        for one in core.certificates.list(limit=1000).items:
            if one.status not in ("active", "draft"):
                print(one.domain, one.status, one.problem)
        raise SystemExit(f"{_active(core)} of {count} certificates are active")


def _requests_sent(core: CertCore) -> int:
    module: Any = core._engine.plugins.module("puq_acme")
    return sum(opened.client.requests_sent for opened in module._accounts._opened.values())


def _cname(core: CertCore, certificate_id: str) -> tuple[str, str]:
    records = next(hint for hint in core.certificates.hints(certificate_id) if isinstance(hint, DnsRecords))
    return records.rows[0].name, records.rows[0].value


@contextmanager
def serve_dns(url: str, keyring: str, cnames: dict[str, str]) -> Iterator[int]:
    """The embedded DNS server, in a process of its own on the same database."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    stop = context.Event()
    process = context.Process(target=_dns_process, args=(url, keyring, cnames, sending, stop), daemon=True)
    process.start()
    try:
        if not receiving.poll(_STARTED_WITHIN):
            raise SystemExit("the DNS server did not start")
        yield int(receiving.recv())
    finally:
        stop.set()
        process.join(10)
        if process.is_alive():
            process.kill()


def _dns_process(
    url: str, keyring: str, cnames: dict[str, str], sending: Any, stop: multiprocessing.synchronize.Event
) -> None:
    zone = MemoryZone("bench.test")
    for name, target in cnames.items():
        zone.set(name, "CNAME", target)
    with CertCore.open(url, keyring=keyring) as core:
        server = core.dns_server(listen=("127.0.0.1", 0), module="puq_acme", also=[zone])
        sending.send(server.address[1])
        stop.wait()
        server.close()


def issue_with_acme(count: int, in_flight: int) -> float:
    """Certificates per second of a bare loop over ``acme.client.ClientV2``."""
    with ChallTestSrv.start() as dns, Pebble.start(dns_server=dns.dns_address) as pebble:
        issue = _acme_client(pebble, dns, in_flight)
        issue(0, "warm.bench.test")
        names = iter([f"c{number:04}.bench.test" for number in range(count)])
        lock = threading.Lock()
        failures: list[BaseException] = []

        def loop(number: int) -> None:
            try:
                while True:
                    with lock:
                        name = next(names, None)
                    if name is None:
                        return
                    issue(number, name)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=loop, args=(number,)) for number in range(in_flight)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_ISSUED_WITHIN)
        if failures:
            raise failures[0]
        return count / (time.perf_counter() - begun)


class _ShortSleeps:
    """Stands in for ``time`` inside ``acme.client``: its polls sleep 5 ms instead of a second and more."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(min(seconds, 0.005))


def _acme_client(pebble: Pebble, dns: ChallTestSrv, in_flight: int) -> Any:
    class Network(client.ClientNetwork):  # type: ignore[misc]
        """Repeats a request whose nonce was refused as often as it takes; the package does so once."""

        def post(self, *arguments: Any, **options: Any) -> Any:
            for _ in range(20):
                try:
                    return super().post(*arguments, **options)
                except messages.Error as error:
                    if error.code != "badNonce":
                        raise
            raise SystemExit("Pebble refused twenty nonces in a row")

    client.time = _ShortSleeps()  # type: ignore[attr-defined]
    roots = Path(tempfile.mkstemp(suffix=".pem")[1])
    roots.write_text(pebble.roots_pem)
    account_key = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
    clients = []  # one per thread: ClientNetwork is not thread-safe
    account = None
    for _ in range(in_flight):
        network = Network(account_key, alg=josepy.ES256, verify_ssl=str(roots))
        directory = client.ClientV2.get_directory(pebble.directory_url, network)
        one = client.ClientV2(directory, network)
        if account is None:
            account = one.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        network.account = account
        clients.append(one)

    def issue(number: int, name: str) -> None:
        acme = clients[number]
        key = generate_key(KeyType.EC_P256)
        order = acme.new_order(build_csr(key, [DnsName.parse(name)], Subject()))
        for authorization in order.authorizations:
            if authorization.body.status == messages.STATUS_VALID:
                continue
            challenge = next(one for one in authorization.body.challenges if isinstance(one.chall, challenges.DNS01))
            response, value = challenge.response_and_validation(account_key)
            dns.set_txt(f"_acme-challenge.{name}", value)
            acme.answer_challenge(challenge, response)
        acme.poll_and_finalize(order)
        dns.clear_txt(f"_acme-challenge.{name}")

    return issue


if __name__ == "__main__":
    main()
