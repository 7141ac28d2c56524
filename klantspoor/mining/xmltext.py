"""Texts from data as PM4Py's files can hold them, and PM4Py itself without its banner.

XML 1.0 cannot hold control characters, and loses line breaks inside attributes: they are shown by the characters
made for showing them. Nothing of a model or a log is made here.
"""

from __future__ import annotations

import re
import sys

_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_UNFIT = re.compile("[\ud800-\udfff\ufffe\uffff]")


def visible(text: str) -> str:
    """`text` with control characters and line breaks as their pictures (␀, ␊, …), what else XML cannot hold as �."""
    return _UNFIT.sub("\ufffd", text.translate(_PICTURES))


def quiet_pm4py() -> None:
    """Keep PM4Py from printing its welcome; call it before importing PM4Py."""
    vars(sys)["_pm4py_welcome_shown"] = True
