"""What an option's value may be, beyond click's own types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_core.errors import JobError
from hemo_core.files import check_writable
from hemo_core.settings import did_you_mean

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey


class Several(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """What may be given several times, and in one text separated by commas."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Blanks between commas are nothing; a text of nothing else is left for ``convert`` to refuse."""
        return [part.strip() for part in rv.split(",") if part.strip()] or [rv]


class Key(Several):
    """A public key: ``ed25519:…``, or a ``.pub`` file."""

    name = "key"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> PublicKey:
        """What was given is never repeated in a message: it may be a private key by mistake."""
        from hemo_core.bundle.keys import PublicKey, parse_public_key

        if isinstance(value, PublicKey):
            return value
        try:
            return parse_public_key(value.strip())
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class Root(Several):
    """``NAME=PATH``, as a pair."""

    name = "root"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """The name and the path."""
        if isinstance(value, tuple):
            return value
        name, separator, path = value.partition("=")
        if not (name and separator and path):
            self.fail(f"{value!r} is not NAME=PATH", param, ctx)
        return name, Path(path)


class OutputNames(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """Names of outputs, separated by commas, as a tuple."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Names that this version knows."""
        from hemo_worker.outputs.registry import OUTPUTS

        names = tuple(part.strip() for part in value.split(","))
        for name in names:
            if name not in OUTPUTS:
                self.fail(f"{name!r} is no output; {did_you_mean(name, OUTPUTS)}", param, ctx)
        return names


class JobName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A job's name, which is also its folder's."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if it can be both."""
        from hemo_core.jobs.header import check_job_id

        try:
            return check_job_id(value)
        except JobError as problem:
            self.fail(f"{problem.message}: {problem.hint}", param, ctx)


class OutputFolder(click.Path):
    """A folder that is there, or can be made, and takes files."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises SinkError before anything is begun that could not be written."""
        path = Path(str(super().convert(value, param, ctx)))
        if param is not None:  # a command's; `config show` only asks what is set
            check_writable(path)
        return path
