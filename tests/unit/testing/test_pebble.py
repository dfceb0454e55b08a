"""The arguments of the DNS server that comes with Pebble, whose names differ between its versions."""

import pytest

from certcore.testing.pebble import challtestsrv_arguments

OLD = """Usage of pebble-challtestsrv:
  -dns01 string
    \tComma separated bind addresses/ports for DNS-01 challenges. (default ":8053")
  -http01 string
  -https01 string
  -management string
  -tlsalpn01 string
"""
NEW = OLD.replace("-dns01", "-dnsserver") + '  -doh string\n    \tfor DNS over HTTPS queries (default ":8443")\n'


@pytest.mark.parametrize(("help_text", "dns", "others"), [(OLD, "-dns01", set()), (NEW, "-dnsserver", {"-doh="})])
def test_the_server_is_started_whatever_its_version_calls_the_options(help_text, dns, others):
    """Version 2.5 renamed the option for DNS; what is not needed is switched off where it is there."""
    arguments = challtestsrv_arguments(help_text, dns_port=5301, management_port=5302)
    assert arguments[:2] == [f"{dns}=127.0.0.1:5301", "-management=127.0.0.1:5302"]
    assert set(arguments[2:]) == {"-http01=", "-https01=", "-tlsalpn01="} | others
