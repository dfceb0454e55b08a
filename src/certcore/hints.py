"""The public names for pages of panels: the hints of the right column, the fields of forms, and their JSON form.

`Certificates.hints` and `Authorities.hints` return these values; a plugin's hook ``certcore_hints`` adds to them::

    from certcore.hints import DnsRecord, DnsRecords, Level, Message, Notice, hint_to_json

    notice = Notice(Level.INFO, Message("shop.welcome", "Welcome, {name}.", {"name": "Ada"}))
    assert hint_to_json(notice)["text"]["text"] == "Welcome, Ada."

    records = DnsRecords((DnsRecord(name="_acme-challenge.shop.example", type="CNAME", value="x.acme.example"),))
    assert hint_to_json(records)["kind"] == "dns_records"
"""

from __future__ import annotations

from certcore.model.edit_rules import EditMethod, EditRule
from certcore.model.finding import Change, Finding, RecordChange, Severity
from certcore.model.form_fields import Choice, FieldKind, FormField
from certcore.model.hints import (
    ActionButton,
    DnsRecord,
    DnsRecords,
    Fact,
    Facts,
    Form,
    Hint,
    Level,
    Link,
    Message,
    Notice,
    RecordState,
    Refresh,
    Step,
    Steps,
    StepState,
    hint_to_json,
)
from certcore.model.input_form import BoundForm, FormSubject, InputField, InputForm
from certcore.model.labels import label_of
from certcore.model.offers import Offer
from certcore.translations import Catalogue, Translator

__all__ = [
    "ActionButton",
    "BoundForm",
    "Catalogue",
    "Change",
    "Choice",
    "DnsRecord",
    "DnsRecords",
    "EditMethod",
    "EditRule",
    "Fact",
    "Facts",
    "FieldKind",
    "Finding",
    "Form",
    "FormField",
    "FormSubject",
    "Hint",
    "InputField",
    "InputForm",
    "Level",
    "Link",
    "Message",
    "Notice",
    "Offer",
    "RecordChange",
    "RecordState",
    "Refresh",
    "Severity",
    "Step",
    "StepState",
    "Steps",
    "Translator",
    "hint_to_json",
    "label_of",
]
