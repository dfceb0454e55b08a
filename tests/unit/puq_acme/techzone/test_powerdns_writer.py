"""What the PowerDNS writer asks of the API, and that it does not depend on what follows the change."""

import json

import pytest
from attrs import define, field

from certcore.errors import ZoneWriteError
from certcore.messages import Message
from certcore.model.secret import Secret
from certcore.net.failures import FailureKind, NetworkError
from certcore.net.http import HttpReply
from certcore.ports.zone_writers import TxtChange
from certcore_puq_acme.techzone.writers.powerdns import PowerDnsWriter

ZONE = "acme.panel.test"
URL = "http://127.0.0.1:8081/api/v1/servers/localhost"


@define
class Api:
    """An API that answers each method with a status, or not at all."""

    statuses: dict
    asked: list = field(factory=list)

    def request(self, method, url, *, body=None, headers=None):
        self.asked.append((method, url.removeprefix(URL), body, headers))
        status = self.statuses.get(method, 204)
        if status == 0:
            raise NetworkError(FailureKind.TIMEOUT, Message("timeout", "did not answer"), host="127.0.0.1:8081")
        return HttpReply(status=status, url=url, body=b'{"error": "no"}')


def written(**statuses):
    api = Api(statuses)
    PowerDnsWriter(url=URL, key=Secret("key"), http=api).write(
        ZONE, [TxtChange(name=f"a.{ZONE}", values=("value",))], ttl=30
    )
    return api


@pytest.mark.parametrize("status", [200, 422, 403, 0], ids=["primary", "native", "forbidden", "no answer"])
def test_secondaries_are_told_after_each_change(status):
    """PowerDNS itself tells them a minute later. That it cannot be asked is no failure of the change."""
    change, notice = written(PUT=status).asked
    assert change[:2] == ("PATCH", f"/zones/{ZONE}.")
    assert json.loads(change[2])["rrsets"][0]["records"] == [{"content": '"value"', "disabled": False}]
    assert notice[:2] == ("PUT", f"/zones/{ZONE}./notify")
    assert {headers["X-API-Key"] for *_, headers in (change, notice)} == {"key"}


def test_nobody_is_told_of_a_change_that_was_refused():
    """There is none."""
    api = Api({"PATCH": 401})
    writer = PowerDnsWriter(url=URL, key=Secret("key"), http=api)
    with pytest.raises(ZoneWriteError, match="401"):
        writer.write(ZONE, [TxtChange(name=f"a.{ZONE}", values=("value",))], ttl=30)
    assert [method for method, *_ in api.asked] == ["PATCH"]
