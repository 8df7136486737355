"""A whole round of labelling through the page, as a person does it: by roles and labels."""

from __future__ import annotations

import csv

import pytest
from chrome import ARTEFACTS, looks
from hand import Hand, quiet

from coreset_engine.sources.open import open_source


def settled(page) -> None:
    page.get_by_role("heading", name="Export & next round", level=1).wait_for()
    quiet(page)


def choose(hand, count: int, tmp_path, number: int) -> list[dict[str, str]]:
    """Ask for so many images and download their list."""
    page = hand.page
    hand.click("tab", "Next round")
    hand.type("New images", str(count), "Tab")
    hand.click("button", f"Choose the next {count}", exact=True)
    called = "the pilot" if number == 0 else f"round {number}"
    button = page.get_by_role("button", name=f"Download {called} (CSV)")
    button.wait_for(timeout=180_000)
    settled(page)
    path = tmp_path / f"round{number}.csv"
    hand.download("button", f"Download {called} (CSV)", path)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def take_pictures(page) -> None:
    """Every tab, light and dark, wide and narrow; nothing scrolls sideways."""
    ARTEFACTS.mkdir(exist_ok=True)
    for look in looks(page, settled):
        for tab in ("Export", "Import labels", "Next round"):
            page.get_by_role("tab", name=tab, exact=True).click()
            page.wait_for_timeout(300)
            page.screenshot(path=ARTEFACTS / f"rounds-{tab.split()[0].lower()}-{look}.png")


@pytest.mark.slow
def test_pilot_labels_back_and_the_next_hundred(open_page, app, tmp_path):
    page, witness = open_page(f"{app}/export?dataset=demo")
    settled(page)
    hand = Hand(page)
    pilot = choose(hand, 60, tmp_path, 0)
    assert len(pilot) == 60

    dataset = open_source("demo")
    truth = {str(key): dataset.classes[dataset.labels[i]] for i, key in enumerate(dataset.ids)}
    filled = tmp_path / "filled.csv"
    with filled.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, pilot[0].keys())
        writer.writeheader()
        writer.writerows([row | dict(label=truth[row["id"]]) for row in pilot])

    hand.click("tab", "Import labels")
    hand.count += 1
    page.get_by_role("tabpanel", name="Import labels").locator(
        "input[type=file]"
    ).first.set_input_files(filled)
    page.get_by_text("60 labels read: 60 new, 0 changed").wait_for()
    hand.click("button", "Keep 60 labels")
    page.get_by_text("Every label of this file is already known").wait_for()

    hand.click("tab", "Next round")
    page.get_by_text("has an accuracy of about").wait_for(timeout=180_000)
    page.get_by_role("combobox", name="By").fill("TypiClust")
    page.get_by_role("option").first.click()
    settled(page)
    following = choose(hand, 25, tmp_path, 1)
    hand.done("a pilot chosen, its labels back, and the next batch chosen")
    assert len(following) == 25
    assert not {row["id"] for row in pilot} & {row["id"] for row in following}
    guessed = [row["suggested_label"] == truth[row["id"]] for row in following]
    assert sum(guessed) >= 13, "pre-annotations from the labels so far"

    take_pictures(page)
    page.get_by_role("button", name="Discard round 1").click()
    page.get_by_role("button", name="Discard the pilot").wait_for()
    page.get_by_role("button", name="Discard the pilot").click()
    page.get_by_role("button", name="Discard the pilot").wait_for(state="detached")
    witness.assert_clean()
