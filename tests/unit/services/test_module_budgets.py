"""How much of the limits of a CA is used: for those who may see its profile, and for metrics."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from certcore import CertCore, Role, RolePolicy
from certcore.contrib.prometheus import CertCoreMetrics
from certcore.errors import NotFoundError, PluginError
from certcore.hints import Message
from certcore.plugin import BudgetUse
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import ScriptedCA

ORDERS = BudgetUse(name="orders", label=Message("budget.orders", "Orders"), used=7, most=300)


class CountingCA(ScriptedCA):
    answer = (ORDERS,)

    def budgets(self, context):
        return self.answer


@pytest.fixture
def world():
    environment = FrozenEnvironment()
    ca = CountingCA(now=environment.now())
    roles = RolePolicy({"vera": Role.VIEWER, "system": Role.ADMINISTRATOR})
    with CertCore.in_memory(plugins=[ca.plugin(), roles], installed_plugins=False, environment=environment) as core:
        yield core, ca, core.authorities.create("test", module="scripted").id


def test_the_use_of_a_limit_is_told_to_those_who_see_the_profile(world):
    """A viewer sees it, a stranger finds no profile, and the metrics have it."""
    core, _, profile = world
    assert core.authorities.budgets(profile, actor="vera") == (ORDERS,)
    with pytest.raises(NotFoundError):
        core.authorities.budgets(profile, actor="mallory")
    registry = CollectorRegistry()
    with CertCoreMetrics(core, registry=registry):
        text = generate_latest(registry).decode()
    assert 'certcore_ca_budget_used{authority="test",limit="orders"} 7.0' in text
    assert 'certcore_ca_budget{authority="test",limit="orders"} 300.0' in text


@pytest.mark.parametrize(
    "answer", [[ORDERS, ORDERS], [ORDERS] * 21, [BudgetUse(name="Two words", label="x", used=1, most=2)]]
)
def test_what_is_no_budget_is_the_modules_fault(world, answer):
    """The call names the module; the other metrics are scraped."""
    core, ca, profile = world
    ca.answer = answer
    with pytest.raises(PluginError):
        core.authorities.budgets(profile)
    registry = CollectorRegistry()
    with CertCoreMetrics(core, registry=registry):
        assert "certcore_up 1.0" in generate_latest(registry).decode()


def test_the_acme_module_counts_its_orders():
    """An account that was never used has used nothing."""
    with CertCore.in_memory() as core:
        settings = {"ca": "letsencrypt", "terms_agreed": "yes", "tech_zone": "acme.panel.example"}
        profile = core.authorities.create("le", module="puq_acme", settings=settings).id
        budgets = {budget.name: budget for budget in core.authorities.budgets(profile)}
    assert budgets["orders"].used == budgets["orders_in_flight"].used == 0
    assert budgets["orders"].most > 0
