"""A user's hand in a page: it clicks and types by role and label, counts both, and takes the time.

What the sixteen everyday tasks took is written to test-artefacts/tasks.txt, one line each.
"""

from __future__ import annotations

import re
import time

from chrome import ARTEFACTS

Name = str | re.Pattern[str]


class Hand:
    """Clicks, key presses and typed fields count as one interaction each."""

    def __init__(self, page):
        self.page = page
        self.count = 0
        self.began = time.monotonic()

    def click(self, role: str, name: Name, **more) -> None:
        self.count += 1
        self.page.get_by_role(role, name=name, **more).first.click()

    def press(self, key: str) -> None:
        self.count += 1
        self.page.keyboard.press(key)

    def type(self, label: str, text: str, leave: str = "Enter") -> None:
        """Type into a field and leave it with a key."""
        self.count += 1
        fields = self.page.locator("input, textarea")
        field = self.page.get_by_label(label, exact=True).and_(fields).first
        field.fill(text)
        field.press(leave)

    def pick(self, label: Name, option: Name) -> None:
        """Choose an option of a select box; two interactions."""
        self.click("combobox", label)
        self.click("option", option)

    def download(self, role: str, name: Name, path) -> None:
        """Click what downloads, and save it."""
        with self.page.expect_download() as download:
            self.click(role, name)
        download.value.save_as(path)

    def done(self, task: str) -> None:
        """Write what the task took."""
        message = f"{task}: {self.count} interactions, {time.monotonic() - self.began:.1f} s"
        print(message)
        ARTEFACTS.mkdir(exist_ok=True)
        with (ARTEFACTS / "tasks.txt").open("a", encoding="utf-8") as file:
            file.write(message + "\n")


def quiet(page, more: int = 250) -> None:
    """Nothing runs any more, and nothing has begun to run for `more` milliseconds.

    A click reaches the server a moment after it is made: the page counts as not running until then.
    """
    page.evaluate("window.lastRun = performance.now()")
    page.wait_for_function(
        """(more) => {
            const app = document.querySelector('[data-testid=stApp]');
            if (app?.dataset.testScriptState !== 'notRunning') window.lastRun = performance.now();
            return performance.now() - window.lastRun > more;
        }""",
        arg=more,
        polling=50,
    )


def heading(page, name: Name) -> None:
    """A page or part of that name stands there, and nothing runs any more."""
    page.get_by_role("heading", name=name).first.wait_for()
    quiet(page)
