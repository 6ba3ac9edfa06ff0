import sys
import warnings

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from seq2seq.evaluation.figures import attention_heat_map, confusion_heat_map

SOURCE = ["▁the", "▁cat", "s", "<eos>"]
TARGET = ["▁die", "▁katzen", "<eos>"]
WEIGHTS = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.499, 0.001], [0.0, 0.0, 0.0, 1.0]])


def pixels(figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def cell_color(figure, row: int, column: int) -> tuple[int, ...]:
    """Color drawn a little off the middle of a cell of the first panel."""
    image = pixels(figure)
    x, y = figure.axes[0].transData.transform((column + 0.15, row + 0.15))
    return tuple(image[image.shape[0] - 1 - int(y), int(x)].tolist())


def test_exact_zero_is_white_and_the_smallest_weight_is_not():
    figure = attention_heat_map(WEIGHTS, SOURCE, TARGET)
    assert cell_color(figure, 0, 1) == (255, 255, 255)
    assert max(cell_color(figure, 1, 3)) < 255
    assert sum(cell_color(figure, 0, 0)) < sum(cell_color(figure, 1, 1))


def test_equal_weights_have_equal_colors_in_every_figure():
    low = attention_heat_map(torch.tensor([[0.2, 0.1]]), ["a", "b"], ["c"])
    high = attention_heat_map(torch.tensor([[0.2, 0.9]]), ["a", "b"], ["c"])
    assert cell_color(low, 0, 0) == cell_color(high, 0, 0)


def test_source_runs_across_and_target_down():
    panel = attention_heat_map(WEIGHTS, SOURCE, TARGET, title="sentence 1").axes[0]
    assert [label.get_text() for label in panel.get_xticklabels()] == SOURCE
    assert [label.get_text() for label in panel.get_yticklabels()] == TARGET
    assert panel.yaxis_inverted()


def test_gold_links_are_hollow_squares_at_their_cells():
    figure = attention_heat_map(WEIGHTS, SOURCE, TARGET, gold=[(2, 1), (0, 0)])
    squares = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    centers = {(round(s.get_x() + 0.4), round(s.get_y() + 0.4)) for s in squares}
    assert centers == {(2, 1), (0, 0)}
    assert not any(square.get_fill() for square in squares)


def test_fused_runs_are_framed_from_their_first_to_their_last_word():
    weights = torch.tensor([[0.25, 0.25, 0.5, 0.0, 0.0], [0.2, 0.2, 0.2, 0.2, 0.2]])
    panel = attention_heat_map(weights, list("abcde"), list("xy"), runs=True).axes[0]
    frames = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
    found = [(f.get_x(), f.get_y(), f.get_width(), f.get_height()) for f in frames]
    assert found == [(-0.5, -0.5, 2, 1), (-0.5, 0.5, 5, 1)]
    assert not attention_heat_map(weights, list("abcde"), list("xy")).axes[0].patches


def test_layers_and_heads_are_a_grid():
    figure = attention_heat_map(WEIGHTS.expand(2, 3, 3, 4), SOURCE, TARGET)
    names = [panel.get_xlabel() for panel in figure.axes[:6]]
    assert names[0] == "layer 1 · head 1"
    assert names[5] == "layer 2 · head 3"


@pytest.mark.parametrize(
    "text",
    ["$x_1$", "$\\frac{", "_a_", "100%", "漢字", "😀", "a\nb", "", "\ufeff", "न", "عر", "#^&~"],
)
def test_any_text_is_drawn_without_a_warning(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels(attention_heat_map(torch.ones(1, 1), [text], [text], title=text))


def test_dollar_and_underscore_are_shown_as_they_are():
    panel = attention_heat_map(torch.ones(1, 1), ["$x_1$"], ["a_b"]).axes[0]
    label = panel.get_xticklabels()[0]
    assert label.get_text() == "$x_1$"
    assert not label.get_parse_math()


def test_figures_grow_with_the_sentence_up_to_a_limit():
    def size(length: int) -> float:
        tokens = ["w"] * length
        return attention_heat_map(torch.eye(length), tokens, tokens).get_size_inches().max()

    assert size(10) < size(40) < size(200) < 35


@pytest.mark.parametrize("columns", [2, 8, 25])
@pytest.mark.parametrize("last", ["verylongword" * 2, "verylonglastsourceword" * 3])
def test_a_long_last_label_is_whole_and_leaves_the_cells_their_size(columns, last):
    source = ["short"] * (columns - 1) + [last]
    figure = attention_heat_map(torch.full((3, columns), 1 / columns), source, ["x", "y", "z"])
    figure.canvas.draw()
    panel = figure.axes[0]
    label = panel.get_xticklabels()[-1].get_window_extent()
    assert label.x0 > 0 < label.y0
    assert label.x1 < figure.bbox.width
    assert label.y1 < figure.bbox.height
    (first, _), (second, _) = panel.transData.transform([(0, 0), (1, 0)])
    assert (second - first) / figure.dpi > 0.25


@pytest.mark.skipif(
    matplotlib.__version_info__ < (3, 11), reason="matplotlib draws from left to right before 3.11"
)
def test_right_to_left_labels_are_drawn_so():
    # Only the first of the letters is higher than the others, so it shows where the word begins.
    figure = attention_heat_map(torch.ones(1, 1), ["x"], ["ל" + "ש" * 8])
    image = pixels(figure).min(axis=2)
    box = figure.axes[0].get_yticklabels()[0].get_window_extent()
    top, left, right = image.shape[0] - int(box.y1) - 1, int(box.x0), int(box.x1)
    highest = image[top : top + 3, left - 2 : right + 2].min(axis=0)
    assert np.flatnonzero(highest < 200).mean() > 0.6 * len(highest)


def test_joiners_of_persian_are_not_replaced():
    panel = attention_heat_map(torch.ones(1, 1), ["می\u200cروم"], ["a\u202eb"]).axes[0]
    assert panel.get_xticklabels()[0].get_text() == "می\u200cروم"
    assert panel.get_yticklabels()[0].get_text() == "a□b"


def test_pyplot_is_left_alone():
    attention_heat_map(WEIGHTS, SOURCE, TARGET)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_tokens_must_match_the_attention():
    with pytest.raises(ValueError, match=r"\[3, 4\]; expected .* 3 target tokens and 3 source"):
        attention_heat_map(WEIGHTS, SOURCE[:3], TARGET)
    with pytest.raises(ValueError, match="gold link 4-0 lies outside the 4 source"):
        attention_heat_map(WEIGHTS, SOURCE, TARGET, gold=[(4, 0)])


def test_confusion_shows_every_count_gold_down_predicted_across():
    classes = {
        "yes": {"predicted": {"yes": 1200, "no": 0}},
        "no": {"predicted": {"yes": 3, "no": 40}},
    }
    (panel,) = confusion_heat_map(classes).axes
    shown = {text.get_position()[::-1]: text.get_text() for text in panel.texts}
    assert shown == {(0, 0): "1,200", (0, 1): "0", (1, 0): "3", (1, 1): "40"}
    labels = [tick.get_text() for tick in panel.get_yticklabels()]
    assert labels == [tick.get_text() for tick in panel.get_xticklabels()] == ["yes", "no"]


def test_a_script_without_a_font_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    # Linear A has no font on ordinary machines; a private one would draw it, and all is well.
    labels = ["\U00010600", "\U00010601"]
    for _ in range(2):
        panel = attention_heat_map(torch.tensor([[0.5, 0.5]]), labels, ["x"]).axes[0]
    if [label.get_text() for label in panel.get_xticklabels()] == labels:
        pytest.skip("a font of Linear A is installed")
    assert caplog.text.count("no installed font has the LINEAR characters") == 1


def test_an_installed_font_that_has_the_characters_is_used() -> None:
    # DejaVu Sans Mono and others come with matplotlib; STIXGeneral alone has this one.
    character = "\U0001d4d0"
    panel = attention_heat_map(torch.tensor([[1.0]]), [character], ["x"]).axes[0]
    (label,) = panel.get_xticklabels()
    assert label.get_text() == character
