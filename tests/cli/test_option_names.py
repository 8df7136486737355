"""Decorators that add options to a command leave the command's own options as they were
declared."""

from __future__ import annotations

import pytest
import typer.main
from typer.testing import CliRunner

from coreset_engine import __version__
from coreset_engine.cli.main import COMMANDS as TABLE
from coreset_engine.cli.main import app

COMMANDS = {
    name: command
    for name, command in typer.main.get_command(app).commands.items()
    if not command.hidden
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_prints_for_machines_with_json(name):
    options = {text for param in COMMANDS[name].params for text in param.opts}
    assert "--json" in options
    assert "--as-json" not in options


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_says_what_it_does(name):
    silent = [p.name for p in COMMANDS[name].params if p.name != "help" and not p.help]
    assert silent == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_prints_its_help(name):
    """Texts with square brackets can be mistaken for markup, which raises."""
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0 and "Usage" in shown.output


@pytest.mark.parametrize("row", [row for row in TABLE if row.group], ids=lambda row: row.name)
def test_help_shows_the_first_line_of_each_command_without_importing_it(row):
    """The table repeats the summaries, so that `--help` need not import the commands."""
    assert COMMANDS[row.name].help.splitlines()[0] == row.summary


def test_the_table_lists_every_command_once():
    names = [row.name for row in TABLE]
    assert len(names) == len(set(names))
    assert {row.name for row in TABLE if row.group} == set(COMMANDS)


def test_the_program_tells_its_version():
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0 and done.output.strip() == __version__
