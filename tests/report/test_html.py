"""The file of a report: its policy covers exactly what is in it, and texts of songs are data and nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path

import pytest
from report_records import made_record, source_of

from acestep_batch.report.html import report_html, url
from acestep_batch.report.page import page_of

HOSTILE = [
    "</script><script>alert(1)</script>", "<!--<script>", "{{script}} {{data}}", "\u2028\u2029\0", "\ud800",
    "&lt;b&gt;", '"quotes" \'and\' `ticks` ${code}', "\u202eright to left", "مرحبا 🎵",
]  # fmt: skip


def file_of(*records) -> str:
    return report_html(page_of([source_of(*records)]), {}, Path("/runs/demo/v0001"))


def data_in(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="page">(.*?)</script>', text, re.DOTALL)[1])


def policy_in(text: str) -> dict[str, str]:
    content = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    return dict(part.split(" ", 1) for part in content.split("; "))


@pytest.mark.parametrize("kind", ["script", "style"])
def test_the_one_script_and_the_one_style_have_the_hash_that_the_policy_names(kind):
    text = file_of(made_record())
    (inside,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inside.encode("utf-8")).digest()).decode("ascii")
    policy = policy_in(text)
    assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert not any(word in " ".join(policy.values()) for word in ("unsafe", "http", "*", "data:", "blob:"))


def test_nothing_is_fetched_from_elsewhere_and_nothing_stands_inline():
    text = file_of(made_record())
    names_of_spaces = {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"(?:https?:)?//[\w.]+\.\w+[^\s\"']*", re.sub(r"//[ A-Z].*", "", text))) <= names_of_spaces
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    assert not re.search(r"\s(?:on\w+|style|src)=", markup)
    assert "innerHTML" not in text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_texts_come_out_as_they_went_in_and_end_no_element(hostile):
    harmless, text = (file_of(made_record("a", prompt=each, lyrics=each, notes=[each])) for each in ("x", hostile))
    assert re.sub(r"[^<]", "", text) == re.sub(r"[^<]", "", harmless)
    data = data_in(text)
    song = data["songs"][0]
    assert data["texts"][song["prompt"]] == data["texts"][song["lyrics"]] == song["notes"][0] == hostile
    assert text.encode("utf-8")


def test_a_hostile_name_of_a_run_is_text():
    source = source_of(made_record(), folder=Path("/runs/<img src=x onerror=alert(1)>/v0001"))
    text = report_html(page_of([source]), {}, Path("/runs"))
    assert "<img" not in text


def test_equal_texts_stand_once():
    records = [made_record("a", seed, lyrics="la " * 3000) for seed in range(50)]
    assert len(file_of(*records)) < len(file_of(made_record())) + 60_000


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/runs/demo/v0001/audio/a.wav", "audio/a.wav"),
        ("/runs/demo/v0001/audio/50% #1?.wav", "audio/50%25%20%231%3F.wav"),
        ("/runs/demo/v0001/a:b.wav", "a%3Ab.wav"),
        ("/runs/demo/v0001/été 🎵.wav", "%C3%A9t%C3%A9%20%F0%9F%8E%B5.wav"),
        ("/other/x.wav", "../../../other/x.wav"),
    ],
)
def test_files_are_linked_from_where_the_page_lies(path, expected):
    assert url(Path(path), Path("/runs/demo/v0001")) == expected
