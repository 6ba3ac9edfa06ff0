"""The page in a real browser: its content, and its use without a mouse."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made import ATTACK, exploration

from seq2seq.checkpoint import Checkpoint
from seq2seq.explore.building import build_page
from seq2seq.explore.collecting import collect
from seq2seq.explore.live import Live
from seq2seq.explore.server import application
from seq2seq.search import Beam

pytestmark = pytest.mark.e2e

Open = Callable[..., Any]


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Open an address; check afterwards that nothing else was requested and no script failed."""
    pages = []
    requested: list[str] = []
    failed: list[str] = []

    def open_page(address: str, **options: Any) -> Any:
        page = browser.new_page(viewport={"width": 1400, "height": 900}, **options)
        page.set_default_timeout(15_000)
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.on("console", lambda told: failed.append(told.text) if told.type == "error" else None)
        page.goto(address)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    own = re.compile(r"^(file:///.*/page\.html|http://127\.0\.0\.1:\d+/(answer)?)(#.*)?$")
    assert [url for url in requested if not own.match(url)] == []
    assert failed == []


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(build_page(exploration()), encoding="utf-8")
    return path.as_uri()


def listed(page: Any) -> list[str]:
    return page.locator("#list [role=option] .place").all_text_contents()


def cell(page: Any, model: str, row: int, column: int) -> Any:
    panel = page.locator(f"#detail .panel[aria-label^='Model {model}']")
    return panel.locator(f"td[data-row='{row}'][data-column='{column}']")


def background(place: Any) -> str:
    return str(place.evaluate("element => getComputedStyle(element).backgroundColor"))


def test_the_last_label_of_a_map_is_not_cut(opened: Open, address: str) -> None:
    made = exploration()
    look = made.examples[0].answers[0].looks["writing"]
    look["source"] = ["▁a", "▁b", "▁c", "▁d", "▁overwhelminglylongword"]
    path = Path(address.removeprefix("file://")).with_name("last") / "page.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(build_page(made), encoding="utf-8")
    area = opened(path.as_uri()).locator("#detail .scroll").first
    room = area.evaluate(
        """area => {
            const box = area.getBoundingClientRect();
            const label = [...area.querySelectorAll("thead span")].at(-1).getBoundingClientRect();
            return [box.right - label.right, label.top - box.top];
        }"""
    )
    assert min(room) > 0


def head(page: Any, name: str) -> None:
    page.locator("#detail").get_by_role("button", name=name, exact=True).click()


def test_it_lists_searches_and_sorts(opened: Open, address: str) -> None:
    page = opened(address)
    assert listed(page) == ["1", "2", "3"]
    assert page.locator("#detail h2").inner_text() == "Sentence 1"
    page.fill("#query", "VERDE")  # in an answer, not in the source
    assert listed(page) == ["2"]
    assert page.locator("#count").inner_text() == "1 of 3 sentences"
    page.fill("#query", "")
    page.select_option("#sort", label="chrF of A")
    assert listed(page) == ["3", "2", "1"]
    page.click("#direction")
    assert listed(page) == ["1", "2", "3"]
    page.select_option("#sort", label="difference of answers A, B")
    assert listed(page)[-1] == "1"
    page.click("#list [role=option]:last-child")
    assert page.locator("#detail h2").inner_text() == "Sentence 1"


def test_texts_answers_and_their_differences(opened: Open, address: str) -> None:
    page = opened(f"{address}#2")
    assert page.locator("#detail .texts dd").all_inner_texts() == [
        "a red house falls",
        "casa roja",
        "casa verdechrF 60.0",
        "casa rojachrF 60.0",
    ]
    assert page.locator("#detail mark").all_inner_texts() == ["verde"]


def test_exact_zeros_are_blank_and_tiny_weights_are_not(opened: Open, address: str) -> None:
    page = opened(address)
    head(page, "layer 1, head 1")
    assert background(cell(page, "B", 0, 4)) == "rgba(0, 0, 0, 0)"
    tiny, large = background(cell(page, "B", 1, 3)), background(cell(page, "B", 1, 2))
    assert tiny not in ("rgba(0, 0, 0, 0)", large)
    assert cell(page, "B", 1, 3).get_attribute("aria-label").startswith("1.0·10⁻⁶")
    assert cell(page, "B", 0, 4).get_attribute("aria-label").startswith("exactly 0")


def test_a_fused_run_has_one_outline(opened: Open, address: str) -> None:
    page = opened(address)
    head(page, "layer 1, head 1")
    edges = "element => ['left', 'top', 'right'].map(side => " + (
        "getComputedStyle(element, '::after').getPropertyValue(`border-${side}-width`))"
    )
    found = [cell(page, "B", 0, column).evaluate(edges) for column in range(3)]
    assert found == [["2px", "2px", "0px"], ["0px", "2px", "0px"], ["0px", "2px", "2px"]]
    assert "run" not in cell(page, "B", 2, 3).get_attribute("class")
    assert page.locator("#detail .legend .outlined").is_visible()


def test_hovering_shows_the_weight_the_words_and_the_run(opened: Open, address: str) -> None:
    page = opened(address)
    head(page, "layer 1, head 1")
    cell(page, "B", 0, 1).hover()
    assert page.locator("#tip").inner_text().split("\n") == [
        "0.333",
        "gato → old",
        "run of 3: the old cat",
        "together 1",
    ]
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_hidden()


def test_layers_and_heads_are_chosen_each(opened: Open, address: str) -> None:
    page = opened(address)
    panel = page.locator("#detail .panel[aria-label^='Model B']")
    assert "mean of 2 × 1 heads" in panel.inner_text()
    head(page, "layer 2, head 1")
    assert "layer 2, head 1" in panel.locator(".facts").inner_text()
    assert cell(page, "B", 0, 4).get_attribute("aria-label").startswith("0.333")
    assert page.evaluate("document.activeElement.ariaLabel") == "layer 2, head 1"


def test_gold_links_belong_to_the_reference(opened: Open, address: str) -> None:
    page = opened(f"{address}#2")
    gold = page.locator("#detail .panel[aria-label^='Model A'] td.gold")
    assert gold.count() == 0, "the answer is not the reference"
    page.get_by_label("reading the reference").first.check(force=True)
    assert "reads the reference" in page.locator("#detail .note").inner_text()
    assert gold.evaluate_all("all => all.map(e => [e.dataset.column, e.dataset.row])") == [
        ["0", "0"],
        ["2", "1"],
    ]
    page.get_by_label("gold alignment").first.uncheck()
    assert gold.count() == 0


def test_lines_are_as_wide_as_their_weights(opened: Open, address: str) -> None:
    page = opened(address)
    page.get_by_label("lines").first.check(force=True)
    head(page, "layer 1, head 1")
    drawing = page.locator("#detail .panel[aria-label^='Model B'] .bipartite")
    widths = drawing.locator("path.line").evaluate_all(
        "all => all.map(e => [e.dataset.target, e.dataset.source, e.getAttribute('stroke-width')])"
    )
    assert len(widths) == 7, "no line for an exact 0"
    width = {(row, column): float(value) for row, column, value in widths}
    assert width["2", "3"] / width["2", "4"] == pytest.approx(3, rel=1e-3)
    drawing.locator(".word.source").nth(3).focus()
    assert drawing.locator("path.on").count() == 2
    told = drawing.locator(".word.source").nth(3).get_attribute("aria-label")
    assert told == "sleeps is looked at by </s> 0.75, viejo 1.0·10⁻⁶"


def test_the_corpus_is_plotted_and_a_dot_opens_its_sentence(opened: Open, address: str) -> None:
    page = opened(address)
    page.click("#tab-corpus")
    page.wait_for_selector("#corpus figure:nth-child(3) .main-svg .points path")
    assert page.locator("#corpus .scatterlayer").count() >= 2
    bars = page.locator("#corpus figure:nth-child(2) .drawing").get_attribute("aria-label")
    assert "model B (fusedmax) has a mean length of 1.4" in bars
    page.evaluate(
        "document.querySelectorAll('#corpus .drawing')[2].emit('plotly_click',"
        "{points: [{customdata: 1}]})"
    )
    assert page.locator("#detail h2").inner_text() == "Sentence 2"


def test_it_works_by_keyboard_alone(opened: Open, address: str) -> None:
    page = opened(address)
    keyboard = page.keyboard
    active = "document.activeElement.id || document.activeElement.dataset.row"
    page.focus("#query")
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    assert page.locator("#detail h2").inner_text() == "Sentence 2"
    assert page.locator("#list").get_attribute("aria-activedescendant") == "example-1"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keyboard.press("End")
    assert page.locator("#detail h2").inner_text() == "Sentence 3"
    keyboard.press("Enter")
    assert page.evaluate("document.activeElement.name") == "sentence-doing"
    keyboard.press("ArrowRight")
    assert "reads the reference" in page.locator("#detail .note").inner_text()
    for _ in range(3):
        keyboard.press("Tab")
    assert page.evaluate(active) == "0"
    keyboard.press("ArrowDown")
    keyboard.press("End")
    assert page.evaluate(active) == "1"
    assert page.evaluate("document.activeElement.dataset.column") == "4"
    assert page.locator("#tip").is_visible()
    keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    page.focus("#tab-sentences")
    keyboard.press("ArrowRight")
    assert page.evaluate(active) == "tab-corpus"
    assert page.locator("#corpus").is_visible()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_colors_follow_the_system_and_the_button(opened: Open, address: str, scheme: str) -> None:
    page = opened(address, color_scheme=scheme)
    luminance = {"dark": "rgb(20, 23, 28)", "light": "rgb(255, 255, 255)"}
    other = {"dark": "light", "light": "dark"}[scheme]
    assert background(page.locator("body")) == luminance[scheme]
    page.click("#theme")
    assert background(page.locator("body")) == luminance[other]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_has_the_contrast_of_wcag_aa(opened: Open, address: str, scheme: str) -> None:
    page = opened(address, color_scheme=scheme)
    pairs = [
        (ink, paper)
        for ink in ("--ink", "--quiet", "--accent", "--mark")
        for paper in ("--paper", "--raised", "--selected")
    ]
    pairs += [("--paper", f"--model-{number}") for number in range(6)]
    for ink, paper in pairs:
        assert contrast(page, ink, paper) >= 4.5, (ink, paper)
    for edge in ("--edge", "--gold", "--run", "--accent"):
        assert contrast(page, edge, "--paper") >= 3, edge


def contrast(page: Any, first: str, second: str) -> float:
    """WCAG's contrast ratio of two custom properties."""

    def luminance(name: str) -> float:
        color = page.evaluate(
            "name => { const e = document.body.appendChild(document.createElement('i'));"
            "e.style.color = `var(${name})`; const c = getComputedStyle(e).color; e.remove();"
            "return c; }",
            name,
        )
        parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_script_in_a_sentence_is_shown_not_run(opened: Open, address: str) -> None:
    page = opened(f"{address}#3")
    title = page.title()
    assert page.locator("#detail .texts dd").first.inner_text() == f"what {ATTACK} means"
    page.get_by_label("lines").first.check(force=True)
    assert page.title() == title == "Small · test"
    assert page.locator("img").count() == 0


def test_a_task_of_labels_shows_them(opened: Open, tmp_path: Path) -> None:
    made = exploration()
    example = made.examples[0]
    answers = [
        replace(answer, text="neutral", looks={"reading": answer.looks["reading"]})
        for answer in example.answers
    ]
    labeled = replace(example, label="entailment", gold=[], answers=answers)
    sides = ("premise", "hypothesis")
    found = replace(made, examples=[labeled], sides=sides, score="accuracy")
    path = tmp_path / "page.html"
    path.write_text(build_page(found), encoding="utf-8")
    page = opened(path.as_uri())
    assert page.locator("#detail .texts dt").all_inner_texts()[:3] == [
        *("Premise", "Hypothesis", "Label")
    ]
    assert page.locator("#detail mark").all_inner_texts() == ["neutral", "neutral"]
    assert "reads the hypothesis" in page.locator("#detail .note").inner_text()
    assert page.get_by_text("Attention while", exact=True).first.is_hidden()


def test_a_narrow_page_needs_no_scrolling_aside(opened: Open, address: str) -> None:
    page = opened(address)
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("#detail .texts").is_visible()


@pytest.fixture
def served(checkpoints: list[Checkpoint], texts: Any, search: Beam) -> Iterator[str]:
    """Return the address of a page with live models."""
    uvicorn = pytest.importorskip("uvicorn")
    found = collect(checkpoints, texts, search, corpus="S", split="test", languages=("a", "b"))
    page = build_page(found, live={"max_characters": 100})
    app = application(page, Live(checkpoints, search))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(20)


def test_a_typed_sentence_is_answered_and_a_slider_changes_the_picture(
    opened: Open, served: str
) -> None:
    page = opened(served)
    page.click("#tab-live")
    page.fill("#live-source", f"words {ATTACK[:60]}")
    panel = page.locator("#live-detail .panel[aria-label^='Model A']")
    some = panel.locator("td.some")
    cells = panel.locator("tbody td")
    page.locator("#live-detail dd", has_text="<img").first.wait_for()
    before = some.count()
    assert before < cells.count()
    page.get_by_label("γ of A", exact=True).focus()
    page.keyboard.press("End")  # the strongest regularizer: everything is attended to
    title = panel.locator("h3", has_text="(trained: 0.5)")
    title.wait_for()
    assert some.count() > before
    page.locator(".board").first.get_by_role("button", name="Reset to trained").click()
    title.wait_for(state="detached")
    assert some.count() == before
    assert page.title() == "S · test"
