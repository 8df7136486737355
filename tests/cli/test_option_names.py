"""Decorators that add options to a command leave the command's own options as they were
declared."""

from __future__ import annotations

import pytest
import typer.main

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
