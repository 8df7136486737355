"""MkDocs hooks: generate the reference pages from the code, so that they cannot be outdated.

Three pages are made at build time: the command line from the Typer application, the tables of
methods and of encoders, proxies and clusterers from the registries.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def generated_pages() -> dict[str, str]:
    """Page path below docs/ -> Markdown text."""
    return {
        "reference/command-line.md": command_line_page(),
        "reference/methods.md": methods_page(),
        "reference/components.md": components_page(),
    }


def cell(text: Any) -> str:
    """`text` as one cell of a Markdown table."""
    return " ".join(str(text or "").split()).replace("|", "\\|")


def command_line_page() -> str:
    """Every command with its arguments and options."""
    import typer.main

    from coreset_engine.cli.main import COMMANDS, app

    group = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "`coreset` and `python -m coreset_engine` are the same program. Exit codes: 0 done, "
        "2 bad input (one line: value, constraint, remedy), 3 cancelled, 1 internal error.",
        "",
        "| command | what it does |",
        "|---|---|",
    ]
    shown = [(row.name, group.commands[row.name]) for row in COMMANDS if row.group]
    lines += [f"| [`{name}`](#{name}) | {cell(first_line(command))} |" for name, command in shown]
    for name, command in shown:
        lines += ["", *command_section(name, command)]
    return "\n".join(lines) + "\n"


def first_line(command: Any) -> str:
    return (command.help or "").strip().split("\n\n")[0]


def command_section(name: str, command: Any) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["coreset", name, *(p.name.upper() for p in arguments), "[OPTIONS]"])
    yield from (f"## {name}", "", (command.help or "").strip(), "", "```", usage, "```", "")
    if arguments:
        yield from ("| argument | meaning |", "|---|---|")
        yield from (f"| `{p.name.upper()}` | {cell(getattr(p, 'help', ''))} |" for p in arguments)
        yield ""
    yield from ("| option | default | meaning |", "|---|---|---|")
    for option in options:
        names = ", ".join(f"`{text}`" for text in [*option.opts, *option.secondary_opts])
        default = "" if option.default in (None, False) else f"`{option.default}`"
        if callable(option.default):
            default = ""
        yield f"| {names} | {cell(default)} | {cell(option.help)} |"


def methods_page() -> str:
    """Every row of METHODS with its parameters."""
    from coreset_engine.core.registry import METHODS

    lines = [
        "# Selection methods",
        "",
        "Generated from the registry. `coreset methods` prints the same table. How they compare: "
        "[Methods, measured](methods-measured.md).",
        "",
        "| method | what it selects | needs | paper | cost |",
        "|---|---|---|---|---|",
    ]
    for row in METHODS.values():
        needs = ", ".join(row.needs) or "nothing"
        cells = [f"`{row.name}`", row.summary, needs, row.paper, row.cost]
        lines.append("| " + " | ".join(cell(text) for text in cells) + " |")
    lines += ["", "## Parameters", ""]
    for row in METHODS.values():
        lines += config_table(row)
    return "\n".join(lines) + "\n"


def config_table(row: Any) -> list[str]:
    """The fields of a row's config dataclass; nothing where it has none."""
    from coreset_engine.core.registry import load

    fields = dataclasses.fields(load(row.config)) if row.config else ()
    if not fields:
        return []
    lines = [
        f"### {row.name}",
        "",
        "| parameter | default | range | meaning |",
        "|---|---|---|---|",
    ]
    for field in fields:
        about = field.metadata
        if about.get("choices"):
            span = ", ".join(f"`{option}`" for option in about["choices"])
        elif about.get("low") is not None or about.get("high") is not None:
            low = about.get("low")
            high = about.get("high")
            span = f"{'' if low is None else low} to {'any' if high is None else high}"
        else:
            span = ""
        help_text = cell(about.get("help", ""))
        lines.append(f"| `{field.name}` | `{field.default}` | {span} | {help_text} |")
    return [*lines, ""]


def components_page() -> str:
    """Encoders, proxies and clusterers."""
    from coreset_engine.core.registry import CLUSTERERS, ENCODERS, PROXIES

    lines = ["# Encoders, proxies and clusterers", "", "Generated from the registries."]
    tables = {
        "Encoders": ENCODERS,
        "Proxies": PROXIES,
        "Clusterers": CLUSTERERS,
    }
    for title, table in tables.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| name | what it is | needs | paper |",
            "|---|---|---|---|",
        ]
        for row in table.values():
            cells = [f"`{row.name}`", row.summary, ", ".join(row.needs), row.paper]
            lines.append("| " + " | ".join(cell(text) for text in cells) + " |")
        if title != "Encoders":
            lines.append("")
            for row in table.values():
                lines += config_table(row)
    return "\n".join(lines) + "\n"
