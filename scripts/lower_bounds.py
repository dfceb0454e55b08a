"""Print the lower bounds of pyproject.toml as constraints: ``name==version``, one a line.

``make test-lowest`` installs with them, so that what pyproject.toml promises is what was tested. A requirement that has
no lower bound is refused.
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([0-9][0-9.]*)")


def lower_bounds(project: Mapping[str, Any]) -> list[str]:
    """The lower bounds of a project's requirements, those of its extras included; its own extras are left out."""
    extras = project["optional-dependencies"].values()
    requirements = [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]
    bounds = set()
    for requirement in requirements:
        if requirement.partition("[")[0] == project["name"]:
            continue
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise SystemExit(f"{requirement!r} in pyproject.toml has no lower bound of the form name>=version.")
        bounds.add(f"{match[1]}=={match[2]}")
    return sorted(bounds, key=str.lower)


if __name__ == "__main__":
    root = Path(__file__).parents[1]
    sys.stdout.write("\n".join(lower_bounds(tomllib.loads((root / "pyproject.toml").read_text())["project"])) + "\n")
