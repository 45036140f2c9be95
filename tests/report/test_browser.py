"""The report in a real Chromium, opened from the disk: it plays, compares, picks, and runs nothing that a text says."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect, sync_playwright
from report_records import made_record, source_of

from acestep_batch.cli import main
from acestep_batch.report.write import write_joint_report, write_report

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DURATION_S = 4.0
HOSTILE_PROMPT = (
    "<img src=x onerror=\"window.owned='prompt'\"> \"double\" 'single' `tick` &lt;b&gt; \u202eevil\u202c مرحبا 🎵 ${1} "
)
HOSTILE_LYRICS = ("</script><script>window.owned='lyrics'</script><!-- <b onclick=alert(1)>שלום 🎷 é\n" * 200)[:10_000]
ROWS = [
    {"id": "calm", "prompt": "calm, warm piano", "lyrics": "[verse]\nsun on the roof"},
    {"id": "loud", "prompt": "loud, distorted guitar", "lyrics": "[inst]"},
    {"id": "far", "prompt": "wide, slow pads", "lyrics": "[inst]"},
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        reason = "no Chromium or Chrome on the path; install one, or name it with CHROMIUM=FILE"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=program, args=["--mute-audio", "--autoplay-policy=user-gesture-required"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """A sweep of 12 songs by the embedded model, with its report."""
    folder = tmp_path_factory.mktemp("sweep")
    manifest = folder / "songs.json"
    manifest.write_text(json.dumps(ROWS), encoding="utf-8")
    words = ("-m", "model=embedded", "hw=cpu", "lint=off", "infer_step=1", f"audio_duration={DURATION_S}", "seed=1,2",
             "guidance_scale=3,7", f"manifest.path={manifest}", f"output.root={folder}")  # fmt: skip
    assert main(words) == 0
    write_report(folder / "songs" / "v0001")
    return folder / "songs" / "v0001"


@dataclass
class Opened:
    """A page, and what it complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def until(self, expression: str) -> None:
        """Waits until a JavaScript expression holds; Playwright's own way needs eval, which the policy forbids."""
        end = time.monotonic() + 10
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never came: {expression}"
            self.page.wait_for_timeout(20)

    @property
    def at_s(self) -> float:
        found: float = self.page.evaluate("document.querySelector('audio').currentTime")
        return found

    def view(self, name: str) -> None:
        self.page.click(f"[data-view={name}]")

    def play(self, selector: str, number: int = 0) -> None:
        self.page.locator(selector).nth(number).click()
        self.until("!document.querySelector('audio').paused && document.querySelector('audio').readyState >= 3")


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens a report; in the end no page has complained, in the console or by an error."""
    contexts, pages = [], []

    def open_report(folder: Path, width: int = 1300, script: str = "", **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        found = Opened(context.new_page())
        pages.append(found)
        found.page.on(
            "console", lambda line: found.complaints.append(line.text) if line.type in ("error", "warning") else None
        )
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto((folder / "report.html").as_uri())
        found.until("document.documentElement.dataset.ready === 'true'")
        return found

    yield open_report
    for context in contexts:
        context.close()
    assert [complaint for each in pages for complaint in each.complaints] == []


def test_it_opens_from_the_disk_with_every_song_and_asks_nobody(opened, sweep):
    report = opened(sweep)
    expect(report.page.locator(".cell")).to_have_count(12)
    report.view("songs")
    expect(report.page.locator(".song")).to_have_count(12)
    report.until("[...document.images].slice(0, 3).every((image) => image.naturalWidth > 0)")
    report.until("[...document.querySelectorAll('.song canvas')].slice(0, 3).every((each) => each.width > 0)")
    assert {url.split("/")[0] for url in report.requests} == {"file:"}


def test_it_plays_and_the_playhead_follows(opened, sweep):
    report = opened(sweep)
    report.view("songs")
    report.play(".song .play", 1)
    report.until("document.querySelector('audio').currentTime > 0.2")
    report.until("parseFloat(document.querySelector('.song .current .head').style.width) > 5")
    report.page.keyboard.press("Space")  # presses the button that has the focus
    report.until("document.querySelector('audio').paused")
    expect(report.page.locator(".song").nth(1)).to_have_attribute("aria-current", "true")


def test_a_click_on_a_waveform_seeks_there_and_so_do_keys(opened, sweep):
    report = opened(sweep)
    report.view("songs")
    picture = report.page.locator(".song .picture").nth(2)
    width = picture.bounding_box()["width"]
    picture.click(position={"x": width * 0.5, "y": 10})
    report.until("!document.querySelector('audio').paused")
    report.until(f"document.querySelector('audio').currentTime >= {DURATION_S / 2 - 0.1}")
    report.page.locator(".bar .play").click()
    picture.click(position={"x": width * 0.25, "y": 10})
    report.until(f"Math.abs(document.querySelector('audio').currentTime - {DURATION_S / 4}) < 0.05")
    slider = report.page.get_by_role("slider")
    slider.focus()
    report.page.keyboard.press("Home")
    report.until("document.querySelector('audio').currentTime === 0")
    expect(slider).to_have_attribute("aria-valuetext", "0:00 of 0:04")


def test_the_grid_switches_songs_and_keeps_the_position(opened, sweep):
    report = opened(sweep)
    report.play(".cell", 0)
    report.page.locator("#position .picture").click(position={"x": 200, "y": 10})
    before, at = report.page.evaluate(
        "[document.querySelector('audio').src, document.querySelector('audio').currentTime]"
    )
    report.play(".cell", 1)
    assert at > 1
    assert report.page.evaluate("document.querySelector('audio').src") != before
    assert report.at_s >= at - 0.05
    report.page.uncheck("#keep")
    report.play(".cell", 2)
    assert report.at_s < at


def test_the_axes_of_the_grid_can_be_chosen(opened, sweep):
    report = opened(sweep)
    expect(report.page.locator(".part")).to_have_count(3)
    report.page.get_by_label("Parts").select_option("seed")
    report.page.get_by_label("Down").select_option("guidance_scale")
    expect(report.page.locator(".part")).to_have_count(2)
    report.page.get_by_label("Across").select_option("id")
    assert report.page.locator(".part").first.locator("thead th").all_inner_texts()[1:] == ["calm", "loud", "far"]
    expect(report.page.locator(".cell")).to_have_count(12)


def test_songs_are_filtered_and_sorted_by_any_column(opened, sweep):
    report = opened(sweep)
    report.view("songs")
    report.page.click("#add-filter")
    report.page.get_by_label("Column").select_option("guidance_scale")
    report.page.get_by_label("Value").fill("5")
    report.page.keyboard.press("Enter")
    expect(report.page.locator(".song")).to_have_count(6)
    assert "guidance_scale 3" not in report.page.inner_text("main")
    expect(report.page.locator("#status")).to_have_text("6 of 12 songs shown")
    report.page.fill("#search", "distorted")
    expect(report.page.locator(".song")).to_have_count(2)
    report.page.fill("#search", "")
    report.page.click("#filters button")
    expect(report.page.locator(".song")).to_have_count(12)
    report.page.get_by_label("Sort").select_option("seed")
    report.page.click("#direction")
    chips = report.page.locator(".song").all_inner_texts()
    assert [("seed 2" in text) for text in chips] == [True] * 6 + [False] * 6
    report.view("table")
    report.page.get_by_role("button", name="id", exact=True).click()
    expect(report.page.locator("th[aria-sort=ascending]")).to_have_text("id ↑")
    assert report.page.locator("tbody th").all_inner_texts() == sorted(["calm", "far", "loud"] * 4)


def test_starred_songs_are_exported_as_rows_that_make_them_again(opened, sweep, tmp_path, monkeypatch):
    report = opened(sweep)
    report.view("songs")
    for number in (2, 5, 7):
        report.page.locator(".song .star").nth(number).click()
    report.page.locator(".song .title").nth(5).click()
    report.page.locator("textarea").fill('good "voice" </script>')
    with report.page.expect_download() as download:
        report.page.click("#export")
    manifest = tmp_path / "picks.json"
    download.value.save_as(manifest)
    rows = json.loads(manifest.read_text(encoding="utf-8"))["songs"]
    assert [row["id"] for row in rows] == ["far", "far_2", "loud"]
    assert [row["record"].get("note") for row in rows] == [None, 'good "voice" </script>', None]
    asked = [
        json.loads(line)
        for cell in sorted((sweep / "cells").iterdir())
        for line in (cell / "manifest.jsonl").read_text(encoding="utf-8").split("\n") if line
    ]  # fmt: skip
    for row, number in zip(rows, (2, 5, 7), strict=True):
        assert {**row, "id": ""} == {**asked[number], "id": "", "record": row["record"]}
    monkeypatch.chdir(tmp_path)
    assert main((f"manifest.path={manifest}", "model=embedded", "hw=cpu", "lint=off")) == 0
    again = [json.loads(line) for line in Path("outputs/picks/v0001/records.jsonl").read_text("utf-8").splitlines()]
    assert [record["identity"] for record in again] == [row["record"]["identity"] for row in rows]


def test_stars_and_notes_are_there_when_the_page_is_opened_again(opened, sweep):
    report = opened(sweep)
    report.view("songs")
    report.page.locator(".song .star").nth(1).click()
    report.page.reload()
    report.view("songs")
    expect(report.page.locator(".song .star").nth(1)).to_have_attribute("aria-pressed", "true")
    report.page.click("#starred")
    expect(report.page.locator(".song")).to_have_count(1)


def test_without_storage_stars_work_and_the_page_says_what_that_means(opened, sweep):
    forbid = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    report = opened(sweep, script=forbid)
    expect(report.page.locator("#notice")).to_be_visible()
    report.view("songs")
    report.page.locator(".song .star").first.click()
    expect(report.page.locator("#export")).to_have_text("Export 1")


def test_hostile_texts_are_shown_as_they_are_and_run_nothing(opened, render_rows):
    rows = [{"id": "a", "prompt": HOSTILE_PROMPT, "lyrics": HOSTILE_LYRICS, "seed": 1}, {"id": "<b>b</b>", "seed": 2}]
    folder = render_rows(rows)[0].folder
    write_report(folder)
    report = opened(folder)
    assert report.page.locator(".song .title").all_text_contents() == ["a", "<b>b</b>"]
    report.page.locator(".song .title").first.click()
    prompt, lyrics = (report.page.locator("#details .text").nth(number).text_content() for number in (0, 1))
    record = json.loads((folder / "manifest.jsonl").read_text("utf-8").split("\n")[0])
    assert (prompt, lyrics) == (record["prompt"], record["lyrics"])
    assert "onerror" in prompt
    assert len(lyrics) > 9_990
    report.page.locator("textarea").fill(HOSTILE_LYRICS[:100])
    report.view("table")
    report.play("main .play", 1)
    counted = "[typeof window.owned, document.scripts.length, document.querySelectorAll('b, main img[src=x]').length]"
    assert report.page.evaluate(counted) == ["undefined", 2, 0]


def test_the_policy_stops_what_would_get_in_all_the_same(opened, sweep):
    report = opened(sweep)
    script = "Object.assign(document.createElement('script'), { text: 'window.owned = 1' })"
    attempts = {
        "document.body.innerHTML = '<b>no</b>'": "TypeError",
        "document.createElement('img').setAttribute('onerror', 'window.owned = 1')": "TypeError",
        f"document.body.append({script})": "TypeError",
        "setTimeout('window.owned = 1')": "TypeError",
    }
    for attempt, outcome in attempts.items():
        tried = f"() => {{ try {{ {attempt}; return 'done'; }} catch (error) {{ return error.name; }} }}"
        assert report.page.evaluate(tried) == outcome, attempt
    report.page.evaluate("() => document.body.append(Object.assign(new Image(), { src: 'https://127.0.0.1:9/x.png' }))")
    report.until("document.images[document.images.length - 1].complete")
    assert report.page.evaluate("typeof window.owned") == "undefined"
    assert any("img-src" in line for line in report.complaints)
    report.complaints.clear()


CONTRAST = """() => {
  const light = (colour) => {
    const [red, green, blue] = colour.match(/[\\d.]+/g).map((each) => each / 255)
      .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const UNSEEN = ":disabled, script, .unseen, .skip, datalist";
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!isText || !element.checkVisibility() || element.closest(UNSEEN)) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push([ratio, element.className || element.tagName]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(opened, sweep, scheme):
    report = opened(sweep, color_scheme=scheme, reduced_motion="reduce")
    report.page.click("#about summary")
    report.page.locator(".star").first.click()
    for view in ("songs", "grid", "table"):
        report.view(view)
        report.play(".cell" if view == "grid" else "main .play", 0 if view == "songs" else 1)
        ratios = report.page.evaluate(CONTRAST)
        assert len(ratios) > 30
        assert [each for each in ratios if each[0] < 4.5] == []
    colour = report.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(colour[4:].split(",")[0]) < 64) == (scheme == "dark")


def test_a_narrow_page_never_scrolls_sideways(opened, sweep):
    report = opened(sweep, width=360, has_touch=True)
    for view in ("grid", "table", "songs"):
        report.view(view)
        assert report.page.evaluate("document.documentElement.scrollWidth") <= 360
    report.page.click("#add-filter")
    report.page.click("#about summary")
    report.page.locator(".song .title").nth(2).click()
    expect(report.page.locator("#details .text").first).to_be_visible()
    assert report.page.evaluate("document.documentElement.scrollWidth") <= 360
    report.page.keyboard.press("Escape")
    expect(report.page.locator("#details")).to_be_hidden()


def test_the_keyboard_alone_is_enough(opened, sweep):
    report = opened(sweep)
    now = report.page.locator("#now")
    first = now.inner_text()
    report.page.keyboard.press("n")
    assert now.inner_text() != first
    report.page.keyboard.press("p")
    assert now.inner_text() == first
    report.page.keyboard.press("Space")
    report.until("document.querySelector('audio').currentTime > 0")
    report.page.keyboard.press("Space")
    report.until("document.querySelector('audio').paused")
    report.page.keyboard.press("s")
    expect(report.page.locator("#export")).to_have_text("Export 1")
    report.page.keyboard.press("/")
    report.page.keyboard.type("sns")
    expect(report.page.locator("#search")).to_have_value("sns")
    expect(report.page.locator("#export")).to_have_text("Export 1")
    report.page.keyboard.press("Escape")
    report.page.keyboard.press("?")
    expect(report.page.get_by_role("dialog")).to_be_visible()
    report.page.get_by_label("Keys are on").uncheck()
    report.page.keyboard.press("Escape")
    report.page.keyboard.press("s")
    expect(report.page.locator("#export")).to_have_text("Export 1")


def test_blind_listening_tells_nothing_but_the_sound(opened, sweep):
    report = opened(sweep)
    report.page.keyboard.press("b")
    for view in ("grid", "songs"):
        report.view(view)
        shown = report.page.inner_text("#tools") + report.page.inner_text("#layout")
        named = "[...document.querySelectorAll('#layout [aria-label], #layout [title]')]"
        names = report.page.evaluate(f"{named}.map((each) => each.title + each.getAttribute('aria-label')).join()")
        for word in ("calm", "guidance_scale", "seed", ".wav"):
            assert word not in (shown + names).replace("calm, warm piano", "")
    assert report.page.locator(".song .title").all_inner_texts() == [f"Take {number}" for number in range(1, 13)]
    report.page.keyboard.press("b")
    report.page.locator("main").get_by_text("guidance_scale 3").first.wait_for()  # the list is filled piece by piece


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A report of 500 songs; the first three have audio of their own, the second of them none any more."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "audio").mkdir()
    wave = np.sin(np.arange(48_000) / 20).astype(np.float32) * 0.5
    soundfile.write(folder / "audio" / "one.wav", np.stack([wave, wave], axis=1), 48_000)
    flags = ("ok", "warn", "fail")
    records = [
        made_record(f"song {number}", number, files=["audio/one.wav"], pcm_sha256="1" * 64, duration_s=1.0,
                    quality=flags[number % 3], quality_reasons=["quiet"], guidance_scale=float(number % 7),
                    measurements={"loudness_lufs": -10 - number / 100}, lyrics="la " * 300)
        for number in range(500)
    ]  # fmt: skip
    records[1] |= {"files": ["audio/gone.wav"], "pcm_sha256": "2" * 64}
    records.append({"id": "row", "row": "row", "status": "failed", "error": "invalid: <b>infer_step</b>"})
    written = write_joint_report([source_of(*records, folder=folder)], folder)
    assert len(written.undrawn) == 1
    return folder


def test_five_hundred_songs_cost_what_is_in_view(opened, large):
    report = opened(large)
    expect(report.page.locator(".song")).to_have_count(501)
    assert report.page.evaluate("document.querySelectorAll('audio').length") == 1
    assert (
        report.page.evaluate("[...document.querySelectorAll('.song canvas')].filter((each) => each.width > 300).length")
        < 60
    )
    report.page.get_by_label("Sort").select_option("loudness_lufs")
    expect(report.page.locator(".song .title").first).to_have_text("song 499")
    report.page.get_by_label("Sort").select_option("quality")
    report.page.click("#add-filter")
    report.page.get_by_label("Column").select_option("quality")
    report.page.get_by_label("Test").select_option("is")
    report.page.get_by_label("Value").fill("warn")
    report.page.keyboard.press("Enter")
    expect(report.page.locator(".song")).to_have_count(167)
    assert set(report.page.locator(".song .flag").all_text_contents()) == {"warn"}


def test_a_file_that_is_gone_and_a_row_that_was_not_made_say_so(opened, large):
    report = opened(large)
    expect(report.page.locator(".song").last).to_contain_text("invalid: <b>infer_step</b>")
    report.page.locator(".song .play").nth(1).click()
    expect(report.page.locator("#trouble")).to_be_visible()
    assert all("ERR_FILE_NOT_FOUND" in line for line in report.complaints)
    report.complaints.clear()
    report.play(".song .play", 2)
    expect(report.page.locator("#trouble")).to_be_hidden()
