"""Inputs to begin with: the corpus of the unit tests, each in a file of its own.

`python seeds.py FOLDER` makes the folders `bundle`, `chain` and `names` in it. The keys are made anew each time.
"""

import sys
from pathlib import Path

SEPARATOR = b"\0\xff\0\xff"
AS_TEXT, WITH_PASSWORD = 1, 2
PASSWORD = "correct Horse 7 ü"
NAMES = (
    *("shop.example", "*.shop.example", "Bücher.example.", "xn--bcher-kva.example", "192.0.2.1", "[2001:db8::1]"),
    *(
        "https://shop.example/",
        "me@shop.example",
        "shop.example:443",
        "a_b.example",
        "1.2.3",
        "\u3002example",
        "ß.example",
    ),
)


def main(folder):
    """Write the files."""
    # A script finds only what is in its own folder.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support import bundle_corpus as corpus

    world = corpus.World()
    for name in ("bundle", "chain", "names"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for case, entry in {**corpus.GOOD, **corpus.BAD}.items():
        given = {"leaf": "", "private_key": None, "ca_bundle": None, **entry.make(world)}
        fields = [given[name] for name in ("leaf", "private_key", "ca_bundle")]
        if any(not isinstance(field, str | bytes | None) or len(field or "") > 1 << 16 for field in fields):
            continue
        text = all(isinstance(field, str | None) for field in fields)
        options = AS_TEXT * text | WITH_PASSWORD * (given.get("password") is not None)
        parts = [field if isinstance(field, bytes) else (field or "").encode() for field in fields]
        (folder / "bundle" / case).write_bytes(bytes([options]) + SEPARATOR.join(parts))
        (folder / "chain" / case).write_bytes(b"".join(parts))
    for number, text in enumerate(NAMES):
        (folder / "names" / str(number)).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
