"""Pages from Jinja2 templates: self-contained, and what comes from outside stays text.

A package keeps its templates, styles and scripts in ``templates/``; a page extends ``base.html``, which allows no
connection anywhere and carries the style that every page of ours shares.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hemo_core.text import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def render(package: str, template: str, **values: object) -> bytes:
    """A page, UTF-8. The same values give the same bytes.

    Every string is escaped, controls and direction changes too (:func:`hemo_core.text.visible`), unless the template
    marks it ``|safe``. Templates also have ``source(name)``, a file beside them as it is; ``|csp_digest``, by which a
    policy allows a script; and ``|tojson``, JSON that no HTML parser can leave.

    Args:
        package: the one whose ``templates/`` holds it.
        template: file name.

    Raises:
        jinja2.UndefinedError: the template names a value that was not given.
    """
    return _environment(package).get_template(template).render(**values).encode("utf-8")


@lru_cache
def _environment(package: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = ChoiceLoader([PackageLoader(package), PackageLoader("hemo_core")])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else _visible(value),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_function"] = _dump
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {"visible": visible, "csp_digest": _csp_digest}
    environment.globals["source"] = lambda name: Markup(loader.get_source(environment, name)[0])  # noqa: S704  (ours)
    return environment


def _dump(value: object, **how: Any) -> str:
    return json.dumps(_visible(value), **how)


def _visible(value: object) -> object:
    """The value with every string in it made visible."""
    match value:
        case str():
            return visible(value)
        case Mapping():
            return {key: _visible(item) for key, item in value.items()}
        case list() | tuple():
            return [_visible(item) for item in value]
        case _:
            return value


def _csp_digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
