"""Modules that break a rule in a step."""

import logging
import time
from datetime import datetime

from attrs import evolve

from certcore.plugin import (
    Failed,
    Note,
    NoteSubject,
    Problem,
    Retry,
)
from support.broken_conformance.table import breaks
from support.conformant_ca import ConformantCA


@breaks("step-sleep")
class Sleeps(ConformantCA):
    def ordered(self, work):
        time.sleep(20)
        return super().ordered(work)


@breaks("step-returns")
class Raises(ConformantCA):
    def ordered(self, work):
        raise RuntimeError("a bug")


@breaks("step-type")
class ReturnsTuple(ConformantCA):
    def ordered(self, work):
        return (super().ordered(work),)


@breaks("step-json")
class ObjectInState(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), state={"order": "x", "at": work.environment.now()})


@breaks("step-size")
class HugeState(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), state={"order": "x" * 300_000})


@breaks("step-secrets")
class SecretInState(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), state={"order": work.profile.api_key.reveal_text()})


@breaks("aware-moments")
class NaiveMoment(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), look_again=datetime(2030, 1, 1, 12))  # noqa: DTZ001 - this is the fault


@breaks("near-moments")
class FarMoment(ConformantCA):
    def ordered(self, work):
        return evolve(super().ordered(work), look_again=work.environment.now().replace(year=9999))


@breaks("pauses")
class NeverRests(ConformantCA):
    def issued(self, work):
        return evolve(self.waiting(work), look_again=work.environment.now(), ordered=False)


@breaks("input-kept")
class ChangesInput(ConformantCA):
    def issued(self, work):
        step = super().issued(work)
        work.issuance.module_state.clear()
        return step


@breaks("clean-up-there", held_outside=None)
class CannotCleanUp(ConformantCA):
    clean_up = None


@breaks("problems")
class EmptyProblem(ConformantCA):
    def ordered(self, work):
        if work.state is None:
            return Failed(state={"tried": True}, problem=Problem(title=""), retry=Retry.SOON)
        return super().ordered(work)


@breaks("notes")
class NoteOfTwoLines(ConformantCA):
    def ordered(self, work):
        note = Note(about=NoteSubject.ORDER, text="The order\nwas placed.")
        return evolve(super().ordered(work), notes=(note,))


@breaks("quiet-calls")
class Prints(ConformantCA):
    def ordered(self, work):
        print("ordering")  # noqa: T201 - this is the fault
        return super().ordered(work)


@breaks("log-secrets")
class LogsSecret(ConformantCA):
    def ordered(self, work):
        logging.getLogger("conformant").debug("key=%s", work.profile.api_key.reveal_text())
        return super().ordered(work)
