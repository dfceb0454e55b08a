"""Which checks of a conformance suite need which; the suites have a check after those that it needs."""


def needed(name, checks):
    """A check with those that it needs, directly or not."""
    (check,) = (each for each in checks if each.name == name)
    return {name}.union(*(needed(other, checks) for other in check.needs))


def dependents(name, checks):
    """The checks that cannot be judged without another one, directly or not."""
    found = {name}
    for each in checks:
        if found & set(each.needs):
            found.add(each.name)
    return found - {name}
