"""Modules whose settings and forms are wrong."""

from attrs import evolve, frozen

from certcore.plugin import (
    InvalidInputError,
    fields_of,
    form,
)
from support.broken_conformance.table import breaks
from support.conformant_ca import ConformantCA, Profile, Settings


@frozen(kw_only=True)
class OpenProfile(Profile):
    account_token: str = form.text("Token", default="")


@breaks("secret-fields")
class PlainSecret(ConformantCA):
    profile_type = OpenProfile


@frozen(kw_only=True)
class WrongDefault(Profile):
    years: int = form.integer("Years", minimum=1, maximum=9, default=0)


@breaks("form-defaults")
class Defaults(ConformantCA):
    profile_type = WrongDefault


@breaks("profile")
class RefusesProfiles(ConformantCA):
    def check_profile(self, profile):
        raise InvalidInputError("note", "is refused.")


@frozen(kw_only=True)
class Forgetful(Profile):
    made: str = form.text("Made", default="", parse=lambda text, name: f"{text}+")


@breaks("profile-kept", settings={"api_key": "canary-api-key-of-the-ca", "made": "x"})
class Changing(ConformantCA):
    profile_type = Forgetful


@breaks("refused-settings")
class RaisesForSettings(ConformantCA):
    def check_profile(self, profile):
        if profile.note == "refused":
            raise ValueError("note")


@breaks("profile-form")
class UnknownField(ConformantCA):
    def profile_form(self, context):
        first, *rest = fields_of(Profile)
        return [evolve(first, name="no_such_field"), first, *rest]


@breaks("certificate-form")
class FieldTwice(ConformantCA):
    def certificate_form(self, context):
        return [*fields_of(Settings), *fields_of(Settings)]


@breaks("request")
class RefusesRequests(ConformantCA):
    def check_request(self, context, names, settings):
        raise InvalidInputError("domain", "is refused.")


@breaks("refused-names")
class RaisesForWildcards(ConformantCA):
    def check_request(self, context, names, settings):
        if any(name.is_wildcard for name in names):
            raise LookupError("wildcard")
