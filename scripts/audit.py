"""What this environment is made of, and what is wrong with it as far as that can be seen here.

scripts/lint --bill    the software bill: every installed package, version, licence and SHA-256 of
its record scripts/lint --audit   pins, broken dependencies, files changed since installation; known
                       vulnerabilities by pip-audit where it is installed and can reach its database
                       (said, when it cannot)
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent


def bill() -> list[dict[str, str]]:
    """One entry per installed distribution, sorted by name."""
    packages = {}
    for dist in metadata.distributions():
        name = dist.metadata["Name"]
        about = dist.metadata
        if name:
            record = dist.read_text("RECORD") or ""
            named = (
                line for line in about.get_all("Classifier") or () if line.startswith("License")
            )
            licence = about.get("License-Expression") or next(named, "").split(" :: ")[-1]
            packages[name.lower()] = dict(
                name=name,
                version=dist.version,
                license=licence,
                record_sha256=hashlib.sha256(record.encode()).hexdigest(),
            )
    return [packages[name] for name in sorted(packages)]


def unpinned(folder: Path = ROOT) -> Iterator[str]:
    """Requirement lines in `folder` that do not name one exact version."""
    for path in sorted(folder.glob("requirements*.txt")):
        for line in path.read_text().splitlines():
            wanted = line.split("#")[0].strip()
            if (
                wanted
                and not wanted.startswith("-")
                and not re.match(r"[\w.\[\],-]+==[\w.]+(\s*;.*)?$", wanted)
            ):
                yield f"{path.name}: {wanted} is not pinned to one version"


def changed() -> Iterator[str]:
    """Python files of installed packages that are no longer what was installed, by the SHA-256 in
    their RECORD."""
    for dist in metadata.distributions():
        for file in dist.files or ():
            if file.hash is None or file.hash.mode != "sha256" or file.suffix != ".py":
                continue
            try:
                data = Path(dist.locate_file(file)).read_bytes()
            except OSError:
                yield f"{dist.metadata['Name']}: {file} is missing"
                continue
            if (
                base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                != file.hash.value
            ):
                yield f"{dist.metadata['Name']}: {file} was changed after installation"


def broken() -> Iterator[str]:
    """What `pip check` says."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        yield from done.stdout.splitlines()


def vulnerable() -> tuple[list[str], str]:
    """(findings, how much could be looked up)."""
    if find_spec("pip_audit") is None:
        return (
            [],
            "known vulnerabilities were not looked up: pip-audit is not installed (pip install "
            "pip-audit)",
        )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip_audit",
            "--format",
            "json",
            "--progress-spinner",
            "off",
            "--timeout",
            "10",
            "-r",
            str(ROOT / "requirements.txt"),
            "--no-deps",
            "--disable-pip",
        ],
        capture_output=True,
        text=True,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return (
            [],
            "known vulnerabilities were not looked up: pip-audit could not reach its database",
        )
    holes = [
        f"{row['name']} {row['version']}: {hole['id']}"
        for row in packages
        for hole in row.get("vulns", ())
    ]
    skipped = sum("skip_reason" in row for row in packages)
    summary = f"pip-audit looked up {len(packages) - skipped} of {len(packages)} pinned packages"
    return holes, summary + ("; the index used here has no data on the others" if skipped else "")


def main() -> int:
    """The exit code: 1 when something is wrong."""
    if "--bill" in sys.argv:
        print(json.dumps(bill(), indent=1))
        return 0
    holes, extent = vulnerable()
    wrong = [*unpinned(), *broken(), *changed(), *holes]
    for line in wrong:
        print(line)
    print(f"{len(bill())} packages, {len(wrong)} findings; {extent}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
