"""Follow the how-to pages about DNS servers of the panel's own, on the real servers, and write what came of it.

unshare --net python -m support.dns_zoo.documented FILE

Each page is followed as a reader would: its files are written below a folder for each machine, its commands are run,
and its servers are started with nothing added but where they listen and from which address they send. Then the profile
is tested, a certificate is issued through it, and what the page says of failures is tried.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from attrs import frozen

from certcore import CertCore, Status
from certcore.hints import DnsRecords
from certcore.testing.pebble import Pebble, write_throwaway_tls
from certcore.testing.server import Child, find_program
from support.dns_zoo import servers
from support.dns_zoo.world import RESOLVER, ROOT, World, started
from support.servers.configurations import knot_arguments

__all__ = ["PAGES", "main"]

#: The pages, and the last numbers of the addresses of their two servers here: they are followed side by side.
PAGES = {"use-your-bind": (153, 154), "use-your-knot": (155, 156), "use-your-powerdns": (157, 158)}
_HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
_FILE = re.compile(r"^`(/[^`]+)`( on the secondary)?:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"(?<![\w/.])/(?=(?:etc|var)/)")
_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
_SECONDS = 60


def main() -> None:
    """Write what came of each page, as JSON."""
    Path(sys.argv[1]).write_text(json.dumps(followed(), indent=1))


def followed() -> dict[str, Any]:
    """For each page, what its steps led to."""
    pages = {name: _Page.read(name) for name in PAGES}
    world = World()
    for page in pages.values():
        delegation = page.block_after("## Delegate the zone")
        world.domain(page.domain, f"{delegation}ns1 IN A {page.primary}\nns2 IN A {page.secondary}\n")
        world.domain(f"shop-{page.domain}")
        servers.add_addresses((page.primary, page.secondary))
    with contextlib.ExitStack() as stack:
        stack.enter_context(world.running())
        started(stack, [lambda: servers.unbound(RESOLVER, ROOT)])
        pebble = stack.enter_context(Pebble.start(dns_server=f"{RESOLVER}:53"))
        with ThreadPoolExecutor() as threads:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            readers = {name: _Reader(page, world, pebble, folder / name) for name, page in pages.items()}
            installed = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            CertCore.create_keyring(installed / "keyring.json")
            CertCore.open(f"sqlite:///{installed}/certcore.db", keyring=str(installed / "keyring.json")).close()
            running = {name: threads.submit(reader.follow, installed) for name, reader in readers.items()}
        return {name: each.result() for name, each in running.items()}


@frozen
class _Page:
    """A how-to page, for a domain and addresses of its own."""

    name: str
    text: str
    domain: str
    primary: str
    secondary: str

    @classmethod
    def read(cls, name: str) -> _Page:
        text = (_HOW_TO / f"{name}.md").read_text(encoding="utf-8")
        domain = f"{name.rpartition('-')[2]}.test"
        primary, secondary = (f"192.0.2.{number}" for number in PAGES[name])
        text = text.replace("192.0.2.53", primary).replace("192.0.2.54", secondary)
        return cls(name, text.replace("panel.example", domain), domain, primary, secondary)

    def files(self, *, of_secondary: bool) -> dict[str, str]:
        """The files of the primary or of the secondary: path to content."""
        return {path: text for path, where, text in _FILE.findall(self.text) if bool(where) == of_secondary}

    def block_after(self, heading: str) -> str:
        """The first block below a heading."""
        rest = self.text[self.text.index(heading) :]
        return re.search(r"^```\w+\n(.*?)^```", rest, re.DOTALL | re.MULTILINE)[1]

    @property
    def commands(self) -> list[str]:
        """The blocks of commands, in their order."""
        return re.findall(r"^```sh\n(.*?)^```", self.text, re.DOTALL | re.MULTILINE)

    @property
    def shown(self) -> list[str]:
        """The lines that the page shows of a successful test."""
        lines = self.block_after("## Save and test").splitlines()
        return [line for line in lines if line.startswith("✓")]

    @property
    def words_of_failures(self) -> list[str]:
        """What the page says that a failed test says."""
        rows = re.findall(r"^\| (`.*?) \|", self.text[self.text.index("## When it fails") :], re.MULTILINE)
        return [word.rstrip(" …") for row in rows for word in re.findall(r"`([^`]+)`", row)]


@frozen
class _Machine:
    """What a reader's machine has: its files, below a folder, and its address."""

    folder: Path
    address: str

    def write(self, files: Mapping[str, str]) -> None:
        """Write the page's files."""
        for path, text in files.items():
            place = Path(self.inside(path))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(self.inside(text))

    def inside(self, text: str) -> str:
        """A text with absolute paths below the machine's folder."""
        return _PATH.sub(f"{self.folder}/", text)

    def start(self) -> list[Child]:
        """Start the servers that the machine has files for."""
        for name in ("var/cache/bind", "var/lib/knot"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        starts = {
            "etc/bind": self._bind,
            "etc/knot": self._knot,
            "etc/powerdns": self._powerdns,
            "etc/nginx": self._nginx,
        }
        children = [start() for name, start in starts.items() if (self.folder / name).exists()]
        for child in children:
            if not child.wait_until(lambda: servers.answers(self.address, "", timeout=0.1) is not None):
                raise RuntimeError(f"a server of the page does not answer: {child.log_tail()}")
        return children

    def _bind(self) -> Child:
        folder = self.folder
        # As Debian has it: notices and transfers are what the page says.
        (folder / "named.conf").write_text(
            f"""options {{
  directory "{folder}/var/cache/bind"; pid-file none; session-keyfile "{folder}/session.key"; recursion no;
  listen-on {{ {self.address}; }}; listen-on-v6 {{ none; }}; dnssec-validation no;
  transfer-source {self.address}; notify-source {self.address};
}};
controls {{ }};
include "{folder}/etc/bind/named.conf.local";
"""
        )
        return self._child("named", "bind9", ["-g", "-n", "1", "-c", str(folder / "named.conf")])

    def _knot(self) -> Child:
        folder = self.folder
        documented = folder / "etc/knot/knot.conf"
        # All addresses are on one machine here: each server has to send from its own.
        remotes = re.compile(r"(?<=^    address: )(\S+)$", re.MULTILINE)
        documented.write_text(remotes.sub(rf"\1\n    via: {self.address}", documented.read_text(), count=1))
        arguments = knot_arguments(folder, [(self.address, 53)], f"include: {documented}\n")
        return self._child("knotd", "knot", arguments)

    def _powerdns(self) -> Child:
        return self._child("pdns_server", "pdns-server", [f"--config-dir={self.folder}/etc/powerdns", "--daemon=no"])

    def _nginx(self) -> Child:
        folder = self.folder
        (folder / "nginx.conf").write_text(
            f"""daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; include {folder}/etc/nginx/conf.d/*.conf;
}}
"""
        )
        return self._child("nginx", "nginx", ["-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", "stderr"])

    def _child(self, program: str, package: str, arguments: list[str]) -> Child:
        running = Path(tempfile.mkdtemp(prefix=f"certcore-{program}-"))
        return Child(find_program(program, package), arguments, folder=running, env={})

    def prepare_powerdns(self) -> None:
        """An installation as Debian makes it: its database, and a folder for further settings."""
        folder = self.folder / "etc/powerdns"
        if not folder.exists():
            return
        with contextlib.closing(sqlite3.connect(self.folder / "pdns.db")) as database:
            database.executescript(_SCHEMA.read_text())
        (folder / "pdns.conf").write_text(
            f"launch=gsqlite3\ngsqlite3-database={self.folder}/pdns.db\nlocal-address={self.address}\n"
            f"query-local-address={self.address}\nsocket-dir={self.folder}\ninclude-dir={folder}/pdns.d\n"
            "guardian=no\nsetuid=\nsetgid=\nsecurity-poll-suffix=\n"
        )


@frozen
class _Reader:
    """Somebody who follows a page."""

    page: _Page
    world: World
    pebble: Pebble
    folder: Path

    def follow(self, installed: Path) -> dict[str, Any]:
        """What came of the page, for a reader who has certcore's database and keyring in a folder."""
        primary = _Machine(self.folder / "ns1", self.page.primary)
        secondary = _Machine(self.folder / "ns2", self.page.secondary)
        primary.write(self.page.files(of_secondary=False))
        secondary.write(self.page.files(of_secondary=True))
        primary.prepare_powerdns()
        roots = self.pebble.roots_pem + self._tls(primary)
        shutil.copytree(installed, self.folder, dirs_exist_ok=True)
        for commands in self.page.commands:
            self._run(commands, primary, roots)
        with contextlib.ExitStack() as stack:
            for child in primary.start():
                stack.callback(child.stop)
            (copying,) = secondary.start()
            stack.callback(copying.stop)
            printed = self._run("certcore authority test letsencrypt", primary, roots)
            found = {"expected": self.page.shown, "printed": printed, "words": self.page.words_of_failures}
            with self._opened() as core:
                found |= self._issued(core)
                found["failures"] = dict(self._failures(core, copying))
        return found

    def _issued(self, core: CertCore) -> dict[str, Any]:
        """A certificate through the profile, and what is left in the zone afterwards."""
        domain = f"shop-{self.page.domain}"
        draft = core.certificates.create(domain, authority="letsencrypt")
        hints = core.certificates.hints(draft.id)
        (row,) = [row for hint in hints if isinstance(hint, DnsRecords) for row in hint.rows]
        self.world.zone(domain, f"_acme-challenge IN CNAME {row.value}.\n")
        self.world.reload(domain)
        core.certificates.generate_csr(draft.id)
        worker = core.worker(threads=1)
        worker.start()
        try:
            worker.wait_until_idle(timeout=_SECONDS)
        finally:
            worker.stop(timeout=30)
        certificate = core.certificates.get(draft.id)
        core.reconcile(draft.id)
        deadline = time.monotonic() + _SECONDS
        while (left := self._values(row.value)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return {
            "active": certificate.status is Status.ACTIVE,
            "problem": str(certificate.problem or ""),
            "left": left,
        }

    def _values(self, name: str) -> list[str]:
        """The TXT values that both servers show at a name."""
        answers = [
            servers.answers(address, name.removesuffix("."), "TXT", timeout=5)
            for address in (self.page.primary, self.page.secondary)
        ]
        return [record.to_text() for answer in answers if answer for rrset in answer.answer for record in rrset]

    def _failures(self, core: CertCore, copying: Child) -> Iterator[tuple[str, str]]:
        """What the test says of a secret that is wrong, of a secondary that is down, and of an unknown zone."""
        profile = core.authorities.get("letsencrypt")
        secret = "zone_api_key" if "powerdns" in self.page.name else "zone_tsig_secret"
        core.authorities.edit(profile.id, settings={"zone_at_server": self.page.domain})
        yield "another zone", self._said(core)
        core.authorities.edit(profile.id, settings={"zone_at_server": ""})
        copying.stop()
        yield "secondary down", self._said(core)
        core.authorities.edit(profile.id, settings={secret: "bm90IHRoZSBzZWNyZXQ="})
        yield "wrong secret", self._said(core)

    def _said(self, core: CertCore) -> str:
        report = core.authorities.check(core.authorities.get("letsencrypt").id)
        return "\n".join(f"{item.title} {item.detail} {item.advice}" for item in report.items if not item.ok)

    def _tls(self, primary: _Machine) -> str:
        """A certificate for the web server, where the page has one; the root that is to be trusted."""
        place = primary.folder / "etc/nginx"
        if not place.exists():
            return ""
        root = write_throwaway_tls(place, [self.page.primary])
        (place / "cert.pem").rename(place / "dns.pem")
        (place / "key.pem").rename(place / "dns.key")
        return root

    @property
    def _variables(self) -> dict[str, str]:
        return {
            "CERTCORE_DATABASE_URL": f"sqlite:///{self.folder}/certcore.db",
            "CERTCORE_KEYRING": str(self.folder / "keyring.json"),
        }

    def _opened(self) -> CertCore:
        places = self._variables
        return CertCore.open(places["CERTCORE_DATABASE_URL"], keyring=places["CERTCORE_KEYRING"])

    def _run(self, commands: str, primary: _Machine, roots: str) -> list[str]:
        """Run commands of the page; the CA is Pebble, and its resolver the zoo's."""
        (self.folder / "roots.pem").write_text(roots)
        settings = {
            "ca": "custom",
            "directory_url": self.pebble.directory_url,
            "trusted_roots": f"@{self.folder}/roots.pem",
            "dns_servers": RESOLVER,
            "servers_asked": "all",
        }
        local = " ".join(f"--set {name}={shlex.quote(value)}" for name, value in settings.items())
        script = "set -euo pipefail\nchown() { :; }\nchmod() { :; }\n"
        script += f'certcore() {{ {shlex.quote(sys.executable)} -m certcore "$@"; }}\n'
        script += f'pdnsutil() {{ command pdnsutil --config-dir={primary.folder}/etc/powerdns "$@"; }}\n'
        script += primary.inside(commands).replace("--set ca=letsencrypt", local)
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        run = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**os.environ, **self._variables, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if run.returncode:
            raise RuntimeError(f"{self.page.name}: {commands}\n{run.stdout}\n{run.stderr}")
        return run.stdout.splitlines()


if __name__ == "__main__":
    main()
