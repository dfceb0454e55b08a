"""The codes of the findings about DNS records, for programs."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["DnsCode"]


class DnsCode(StrEnum):
    """The codes. They never change; a code that is no longer used stays reserved."""

    # The domain and its name servers.
    DOMAIN_NOT_REGISTERED = "domain_not_registered"
    DOMAIN_NOT_DELEGATED = "domain_not_delegated"
    PUBLIC_SUFFIX = "public_suffix"
    WILDCARD_FORBIDDEN = "wildcard_forbidden"
    SERVER_LAME = "server_lame"
    SERVER_SILENT = "server_silent"
    SERVER_FAILS = "server_fails"
    SERVER_WITHOUT_ADDRESS = "server_without_address"
    SERVER_ADDRESS_NOT_PUBLIC = "server_address_not_public"
    SERVERS_DISAGREE = "servers_disagree"
    SERVERS_IPV6_ONLY = "servers_ipv6_only"
    DNSSEC_BOGUS = "dnssec_bogus"
    # The owner's CNAME.
    CNAME_MISSING = "cname_missing"
    CNAME_WRONG_TARGET = "cname_wrong_target"
    CNAME_OLD_TARGET = "cname_old_target"
    CNAME_OTHER_LABEL = "cname_other_label"
    CNAME_DOUBLED_SUFFIX = "cname_doubled_suffix"
    CNAME_TARGET_NOT_FINAL = "cname_target_not_final"
    CNAME_WITHOUT_UNDERSCORE = "cname_without_underscore"
    CNAME_AT_DOMAIN = "cname_at_domain"
    TXT_INSTEAD_OF_CNAME = "txt_instead_of_cname"
    ADDRESS_INSTEAD_OF_CNAME = "address_instead_of_cname"
    NS_INSTEAD_OF_CNAME = "ns_instead_of_cname"
    CNAME_BESIDE_RECORDS = "cname_beside_records"
    CNAME_ON_SOME_SERVERS = "cname_on_some_servers"
    CNAME_IN_PARENT_ZONE = "cname_in_parent_zone"
    CNAME_BEHIND_WILDCARD = "cname_behind_wildcard"
    CNAME_LOOP = "cname_loop"
    CNAME_CHAIN_TOO_LONG = "cname_chain_too_long"
    CNAME_FLATTENED = "cname_flattened"
    HOST_ANSWERS_TXT = "host_answers_txt"
    # What resolvers show.
    STILL_CACHED = "still_cached"
    SPLIT_VIEW = "split_view"
    RESOLVER_REWRITES = "resolver_rewrites"
    RESOLVER_SILENT = "resolver_silent"
    RESOLVER_FAILS = "resolver_fails"
    RESOLVER_DIFFERS = "resolver_differs"
    # The tech zone and its values.
    TECH_ZONE_NOT_DELEGATED = "tech_zone_not_delegated"
    TECH_ZONE_UNREACHABLE = "tech_zone_unreachable"
    TECH_ZONE_OLD_SERVER = "tech_zone_old_server"
    TECH_ZONE_WITHOUT_ADDRESS = "tech_zone_without_address"
    TXT_MISSING = "txt_missing"
    TXT_FOREIGN = "txt_foreign"
    # The owner's lasting TXT record (dns-persist-01).
    PERSIST_MISSING = "persist_missing"
    PERSIST_OTHER_ACCOUNT = "persist_other_account"
    PERSIST_WITHOUT_WILDCARD = "persist_without_wildcard"
    PERSIST_EXPIRED = "persist_expired"
    PERSIST_ON_SOME_SERVERS = "persist_on_some_servers"
    PERSIST_UNREACHABLE = "persist_unreachable"
    # CAA.
    CAA_ISSUE = "caa_issue"
    CAA_ISSUEWILD = "caa_issuewild"
    CAA_ACCOUNT = "caa_account"
    CAA_METHOD = "caa_method"
    CAA_CRITICAL = "caa_critical"
    CAA_AT_PARENT = "caa_at_parent"
    CAA_AT_ALIAS = "caa_at_alias"
    CAA_LOOKUP_FAILS = "caa_lookup_fails"
