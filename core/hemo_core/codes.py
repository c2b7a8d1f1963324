"""Every code that a row or a report can bear, what it means for a reader, and what to do.

``python -m hemo_core.codes`` prints ``docs/codes.md``; a test proves that the page is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from hemo_core.errors import ScanError, all_errors
from hemo_core.scans.choice import REJECTIONS
from hemo_core.scans.scan import Quality
from hemo_core.wording import OUTCOME_TEXT

_PAGE = """# Codes

Made of the code itself by `python -m hemo_core.codes`. Each scan ends as exactly one outcome; a scan that was not
scored bears one code and what to do, a scored one any number of quality codes.

## Outcomes

{outcomes}

## Rejected

The scan can be read and is not one that the model is made for. `--override CODE` scores it all the same.

{rejections}

## Failed

The scan could not be read or scored. Nothing is known about it; everything else of the job went on.

{failures}

## Quality

What a reader should know before trusting the score. The report's note may say more than this page.

{qualities}
"""


def advice_of(code: str) -> str | None:
    """What to do about a rejection or a failure; None for a code that is neither."""
    if code in REJECTIONS:
        return REJECTIONS[code][1]
    return next((error.advice for error in _failures() if error.code == code), None)


def page() -> str:
    """``docs/codes.md``."""
    rejections = ((code, meaning, advice) for code, (meaning, advice) in REJECTIONS.items())
    failures = ((error.code, (error.__doc__ or "").partition("\n")[0], error.advice) for error in _failures())
    return _PAGE.format(
        outcomes=_table(("outcome", "meaning"), OUTCOME_TEXT.items()),
        rejections=_table(("code", "meaning", "what to do"), rejections),
        failures=_table(("code", "meaning", "what to do"), failures),
        qualities=_table(("code", "meaning"), ((code.value, code.text) for code in Quality)),
    )


def _failures() -> list[type[ScanError]]:
    return [error for error in all_errors(ScanError) if issubclass(error, ScanError)]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| `{code}` | {' | '.join(rest)} |" for code, *rest in rows)])


if __name__ == "__main__":
    sys.stdout.write(page())
