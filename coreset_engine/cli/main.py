"""The command line: the same code path as the app.

Exit 0 done, 2 bad input, 3 cancelled, 1 an internal error, 4 a finding that `--fail-on` names.

`COMMANDS` is the table of commands. A command's module is imported when it is called or asked for
its help, so that `--help` answers at once.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
import typer.core
import typer.main

from coreset_engine import __version__
from coreset_engine.cli import interrupt
from coreset_engine.core.errors import CoresetError
from coreset_engine.core.user_paths import user_path


class Command(NamedTuple):
    """A row of `COMMANDS`.

    Attributes
    ----------
    group : str
        Its heading in `--help`; "" leaves it out.
    name : str
        As it is called.
    function : str
        "module:function" below `coreset_engine.cli.commands`.
    summary : str
        The first line of the function's docstring, which `--help` shows without importing it.
    """

    group: str
    name: str
    function: str
    summary: str


_SELECT = "Select"
_MEASURE = "Measure"
_CURATE = "Curate"
_LABEL = "Label in rounds"
_WORKSPACE = "Workspace"
COMMANDS = (
    Command(
        _SELECT, "run", "run:run", "Compute what is missing and write the selection to a folder."
    ),
    Command(_SELECT, "embed", "run:embed", "Compute the vectors of every image; resumable."),
    Command(_SELECT, "score", "run:score", "Compute every stage up to the scores of all methods."),
    Command(_SELECT, "select", "run:select", "Print the ids of the coreset, one per line."),
    Command(
        _SELECT, "methods", "run:methods", "List the selection methods: family, needs, paper, cost."
    ),
    Command(
        _SELECT,
        "forecast",
        "forecast:forecast",
        "Forecast each method's gain over random, without labels.",
    ),
    Command(
        _SELECT,
        "beta",
        "beta:beta",
        "Search the hard cut-off beta without labels, and show the curve.",
    ),
    Command(
        _SELECT,
        "export",
        "export:export",
        "Send a selection to FiftyOne, a labelling tool or a training script.",
    ),
    Command(
        _SELECT,
        "verify",
        "run:verify",
        "Recompute a selection from its manifest; exit 1 when it differs.",
    ),
    Command(
        _MEASURE,
        "evaluate",
        "evaluate:evaluate",
        "Train models on each coreset and compare with random, paired over seeds.",
    ),
    Command(
        _MEASURE,
        "inclusion",
        "evaluate:inclusion",
        "How often each image is kept, over seeds and encoders.",
    ),
    Command(
        _MEASURE,
        "reproduce",
        "reproduce:reproduce",
        "Re-run a paper's table, cell by cell; `reproduce list` lists them.",
    ),
    Command(
        _CURATE,
        "clean",
        "clean:clean",
        "Find copies, outliers and images of poor quality, and exclude them.",
    ),
    Command(
        _CURATE,
        "leakage",
        "clean:leakage",
        "Compare two sources: shared images, missing regions, two-sample test.",
    ),
    Command(
        _CURATE, "find", "curate:find", "Find images like an image, like several, or like a text."
    ),
    Command(_CURATE, "tag", "curate:tag", "Tag images, list the tags, or read them from a table."),
    Command(
        _CURATE,
        "columns",
        "curate:columns",
        "List the columns for --where, or the values of one.",
    ),
    Command(_LABEL, "next", "rounds:next_images", "Choose --count new images to label next."),
    Command(
        _LABEL,
        "import-labels",
        "rounds:import_labels",
        "Import labels: what is new, changed and in conflict.",
    ),
    Command(
        _LABEL,
        "label-errors",
        "rounds:label_errors",
        "List probable label errors, most probable first.",
    ),
    Command(
        _LABEL,
        "predictions",
        "rounds:predictions",
        "Check a model's own predictions against the source and its labels.",
    ),
    Command(
        _LABEL,
        "update",
        "update:update",
        "Update a source that grew: embed new images, choose the next ones.",
    ),
    Command(_WORKSPACE, "status", "store:status", "Show what is stored and what is running."),
    Command(_WORKSPACE, "jobs", "store:jobs", "List, cancel or resume background jobs."),
    Command(_WORKSPACE, "gc", "store:gc", "List what can be removed; --yes removes it."),
    Command(
        _WORKSPACE,
        "report",
        "store:report",
        "Pack versions, settings and the end of the log into a zip for a bug report.",
    ),
    Command(
        _WORKSPACE,
        "plugin",
        "export:plugin",
        "Link the FiftyOne App's plugin into FiftyOne's plugins folder.",
    ),
    Command(
        "", "labels", "rounds:import_labels", "Import labels: what is new, changed and in conflict."
    ),
    Command("", "work", "store:work", "Run as the child process of a job."),
)


class _Commands(MutableMapping[str, Any]):
    """Name -> command; those of `COMMANDS` are made when they are looked up."""

    def __init__(self, made: Mapping[str, Any]) -> None:
        self._rows = {row.name: row for row in COMMANDS}
        self._made = dict(made)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(self._rows[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows | self._made)

    def __len__(self) -> int:
        return len(self._rows | self._made)


def _make(row: Command) -> Any:
    module, _, function = row.function.partition(":")
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    one.command(row.name, hidden=not row.group)(
        getattr(import_module(f"coreset_engine.cli.commands.{module}"), function)
    )
    return typer.main.get_command(one)


class LazyGroup(typer.core.TyperGroup):
    """The group of all commands, whose own help imports none of them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.commands)  # and what a caller has added to `app`

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, purpose, and the commands by group, with the summaries of `COMMANDS`."""
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS]")
        formatter.write_paragraph()
        formatter.write_text(self.help or "")
        width = max(len(row.name) for row in COMMANDS)
        for group in dict.fromkeys(row.group for row in COMMANDS if row.group):
            with formatter.section(group):
                formatter.write_dl(
                    [(row.name.ljust(width), row.summary) for row in COMMANDS if row.group == group]
                )
        formatter.write_paragraph()
        formatter.write_text(
            f"Arguments and options of a command: {ctx.command_path} COMMAND --help"
        )


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"max_content_width": 100},
    pretty_exceptions_enable=False,
    help="Choose the part of an unlabelled image set worth labelling and training on.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _commands(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="print the version"),
    ] = False,
) -> None:
    """Options of the program itself; each command has its own."""


def main() -> None:
    """Run a command; every error is one line on stderr.

    Never a traceback; Ctrl-C ends it within two seconds.
    """
    _prepare()
    with interrupt.armed():
        _guarded()


def _prepare() -> None:
    """Names of any language on any terminal, and `--out=~/x`, which shells pass on unchanged."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.getfilesystemencoding().lower() not in ("utf-8", "utf8"):
        print(
            f"error: the locale's encoding is {sys.getfilesystemencoding()}, which cannot name "
            "every "
            "file; set PYTHONUTF8=1 (or LC_ALL=C.UTF-8) and run again.",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv[1:] = [_with_home(word) for word in sys.argv[1:]] or ["--help"]


def _with_home(word: str) -> str:
    """A word of the command line with ~/ replaced, at its beginning or behind `--option=`."""
    name, equals, value = word.partition("=")
    if word.startswith("~/"):
        return str(user_path(word))
    if name.startswith("--") and equals and value.startswith("~/"):
        return f"{name}={user_path(value)}"
    return word


def _guarded() -> None:
    try:
        result = app(standalone_mode=False)
        if result == 130:  # typer's code for a KeyboardInterrupt
            raise KeyboardInterrupt
        sys.exit(result if isinstance(result, int) else 0)
    except CoresetError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        interrupt.say()
        sys.exit(interrupt.EXIT_CODE)
    except BrokenPipeError:
        os._exit(0)
    except Exception as internal:  # noqa: BLE001 - one sentence here, the traceback in the log
        _last_door(internal)


def _last_door(error: Exception) -> None:
    if hasattr(
        error, "format_message"
    ):  # a usage error; its class lives in click or, in newer versions, in typer
        print(f"error: {error.format_message()} See --help.", file=sys.stderr)
        sys.exit(2)
    from coreset_engine.artifacts.internal_errors import record

    print(f"error: {record(error)}", file=sys.stderr)
    sys.exit(1)
