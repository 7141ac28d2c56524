"""The map pages: right figures, nothing left open to data, nothing about too few people, nothing from the network."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from klantspoor.page import write_pages
from klantspoor.page.figures import LEAST_ANSWERS, collect
from tests.page import tiny_project as config
from tests.page import tiny_tables as tiny

VOID = {"meta", "br", "rect", "line", "circle"}


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return tiny.make_tables()


@pytest.fixture(scope="module")
def pages(tables: dict[str, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    written = write_pages(config.make_project(), tiny.connect(tables), folder, tiny.AS_OF, tiny.RUN_ID)
    return {path.name: path.read_text(encoding="utf-8") for path in written}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that what is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_page_for_each_journey_type_and_an_index(pages: dict[str, str]) -> None:
    assert list(pages) == ["moving.html", "outage.html", "index.html"]
    index = Reader(pages["index.html"])
    links = [
        attributes["href"] for tag, attributes in index.tags if tag == "a" and attributes.get("href") != "#content"
    ]
    assert links == ["moving.html", "outage.html"]
    assert "no file came last night" in index.text


def test_phases_are_told_in_the_customers_words_and_language(pages: dict[str, str]) -> None:
    page = Reader(pages["moving.html"])
    headings = re.findall(r'<h3 lang="nl"><bdi>(.*?)</bdi></h3>', pages["moving.html"])
    assert headings == [phase["says"] for phase in config.MOVING["phases"]]
    assert ("html", {"lang": "en"}) in page.tags


def test_figures_are_those_of_the_marts(pages: dict[str, str], tables: dict[str, pa.Table]) -> None:
    text = Reader(pages["moving.html"]).text
    moving = tables["journeys"].filter(pc.equal(tables["journeys"]["journey_type"], "moving"))
    assert f"Journeys {len(moving)} 5 still open" in text
    # 29 of the 35 journeys that are over got a final bill; six called and gave up.
    assert "83 % of 35 journeys that are over; failed: fewer than 5, given up: 6" in text
    assert "Move reported → Data requested 40 40 journeys 42 hours" in text
    assert "Meter reading sent 5" in text
    assert "17 % of the journeys that are over" in text


def test_waits_are_split_by_turn_and_cause(tables: dict[str, pa.Table]) -> None:
    page = collect(tiny.connect(tables), config.make_project(), "moving", tiny.AS_OF, tiny.RUN_ID)
    reporting = page.phases[1].figures
    assert reporting is not None
    average = reporting.waiting.per(reporting.journeys).parts
    assert average["queueing"] == pytest.approx(7.5)
    assert average["closed"] == pytest.approx(14.0)
    assert average["working"] == pytest.approx(0.5)
    assert set(average) == {"queueing", "working", "closed", "handover"}
    waits = tables["waits"].filter(pc.equal(tables["waits"]["journey_type"], "moving"))
    assert page.totals is not None
    assert page.totals.waiting.total == pytest.approx(pc.sum(waits["seconds"]).as_py() / 3600)


def test_bottlenecks_are_ranked_on_ours_and_partners_time(tables: dict[str, pa.Table]) -> None:
    page = collect(tiny.connect(tables), config.make_project(), "moving", tiny.AS_OF, tiny.RUN_ID)
    blamed = [row.waiting.blamed for row in page.worst]
    assert blamed == sorted(blamed, reverse=True)
    assert all(value > 0 for value in blamed)
    assert "Data requested" not in {row.from_step for row in page.worst}, "the customer's own time is not blamed"
    assert [row.from_step for row in page.still_open] == ["Meter reading sent"]


def test_too_few_people_are_not_shown(pages: dict[str, str]) -> None:
    text = Reader(pages["outage.html"]).text
    assert "Fewer than 5 people have been on this journey" in text
    assert "My power is out" in text
    assert "Engineer came" not in pages["outage.html"]
    assert not re.search(r"\b3 (journeys|people)", text)


def test_a_count_that_a_difference_would_tell_is_not_shown(tables: dict[str, pa.Table]) -> None:
    strict = config.make_project()
    limits = strict.file.limits.model_copy(update={"suppress_below": 6})
    strict = strict.model_copy(update={"file": strict.file.model_copy(update={"limits": limits})})
    totals = collect(tiny.connect(tables), strict, "moving", tiny.AS_OF, tiny.RUN_ID).totals
    assert totals is not None
    assert totals.is_open is None, "five people"
    assert totals.settled is None, "40 journeys less 35 would tell"
    assert totals.abandoned == 6
    assert totals.achieved_share == pytest.approx(29 / 35)


def test_a_phase_without_figures_is_said_to_be_withheld(tables: dict[str, pa.Table], tmp_path: Path) -> None:
    marts = tables["journey_map"]
    without = {**tables, "journey_map": marts.filter(pc.not_equal(marts["phase"], "final_bill"))}
    write_pages(config.make_project(), tiny.connect(without), tmp_path, tiny.AS_OF, tiny.RUN_ID)
    assert "Fewer than 5 people: not shown." in Reader((tmp_path / "moving.html").read_text(encoding="utf-8")).text


def test_customers_voice_abstains_below_the_stated_number(pages: dict[str, str], tables: dict[str, pa.Table]) -> None:
    text = Reader(pages["moving.html"]).text
    assert f"Below {LEAST_ANSWERS} answers no score is given" in text
    assert "NPS 12 too few answers for a verdict" in text
    many = {**tables, "experiences": pa.concat_tables([tables["experiences"]] * 3)}
    voices = collect(tiny.connect(many), config.make_project(), "moving", tiny.AS_OF, tiny.RUN_ID).voices
    (nps,) = voices.instruments
    assert nps.answers == 36
    assert nps.mean == pytest.approx(pc.mean(tables["experiences"]["score_0_100"]).as_py())
    assert nps.low is not None and nps.high is not None and nps.low < nps.mean < nps.high
    assert voices.journeys_with_answer == 12


def test_text_from_data_is_escaped_and_cut(pages: dict[str, str]) -> None:
    html = pages["moving.html"]
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in html
    assert "x" * 500 not in html
    assert re.search(r'title="Lange activiteit x{300}', html)
    assert len(html) < 200_000


def test_nothing_comes_from_elsewhere(pages: dict[str, str]) -> None:
    for html in pages.values():
        assert "default-src 'none'; style-src 'unsafe-inline'" in html
        page = Reader(html)
        assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "form", "object", "base"}
        assert "http" not in re.sub(r"http-equiv", "", html)
        assert "url(" not in re.sub(r"url\(#(stripes|dots)\)", "", html)


def test_is_readable_without_eyes(pages: dict[str, str]) -> None:
    for html in pages.values():
        page = Reader(html)
        tags = [tag for tag, _ in page.tags]
        assert tags.count("h1") == 1 and tags.count("main") == 1
        assert tags.count("table") == tags.count("caption")
        for tag, attributes in page.tags:
            if tag == "th":
                assert attributes.get("scope") in ("col", "row")
            if tag == "svg" and "defs" not in (attributes.get("class") or ""):
                assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label")
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for _, attributes in page.tags:
            assert attributes.get("aria-labelledby") is None or attributes["aria-labelledby"] in ids


def test_the_current_month_is_marked_provisional(pages: dict[str, str]) -> None:
    text = Reader(pages["moving.html"]).text
    assert "June 2026 provisional" in text
    assert "May 2026 provisional" not in text


def test_says_when_and_from_which_run(pages: dict[str, str]) -> None:
    for html in pages.values():
        assert "As of Sun 14 Jun 2026, 05:00 (Europe/Amsterdam). Run tiny-run." in Reader(html).text


@pytest.fixture
def chromium() -> Iterator[str]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    yield found


def test_a_browser_shows_it_whole(chromium: str, pages: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "moving.html").write_text(pages["moving.html"], encoding="utf-8")
    shot = tmp_path / "moving.png"
    subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1280,1600",
            f"--screenshot={shot}",
            (tmp_path / "moving.html").as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert shot.stat().st_size > 50_000, "an empty page makes a small picture"
