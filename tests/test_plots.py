"""Charts show the numbers they return, keep to one palette and put no label on another."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from llmrec import plots
from llmrec.evaluation import Comparison, Estimate
from llmrec.plots import heatmap, interval_plot, item_map, loss_curves, use_style


@pytest.fixture(autouse=True)
def _headless():
    with plt.rc_context():
        plt.switch_backend("agg")
        yield
    plt.close("all")


ESTIMATES = {
    "Popularity": Estimate(0.187, 0.175, 0.199, 900),
    "EASE": Estimate(0.473, 0.458, 0.488, 900),
    "EASE with the text as the prior mean": Estimate(0.476, 0.461, 0.491, 900),
}


def boxes(fig, texts):
    fig.draw_without_rendering()
    return [text.get_window_extent() for text in texts if text.get_text()]


def assert_apart(fig, texts):
    for one, other in combinations(boxes(fig, texts), 2):
        assert not one.overlaps(other)


def contrast(one, other):
    """WCAG 2 contrast ratio of two colours, 1 … 21."""

    def luminance(color):
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_the_style_is_opaque_large_and_horizontal():
    use_style()
    assert to_rgb(plt.rcParams["figure.facecolor"]) == to_rgb(plots.PAPER)
    assert plt.rcParams["savefig.facecolor"] == plt.rcParams["figure.facecolor"]
    assert plt.rcParams["savefig.transparent"] is False
    assert plt.rcParams["font.size"] >= 12
    assert plt.rcParams["xtick.labelsize"] >= 11


def test_every_family_has_its_own_marker_and_enough_contrast():
    colors, markers = zip(*plots.FAMILIES.values(), strict=True)
    assert len(set(colors)) == len(set(markers)) == len(plots.FAMILIES)
    for color in [*colors, *(role[0] for role in plots.ROLES.values())]:
        assert contrast(color, plots.PAPER) >= 3
    assert contrast(plots.INK, plots.PAPER) >= 12


def test_interval_plot_returns_what_it_draws():
    families = {"Popularity": "popularity", "EASE": "id"}
    fig, arrays = interval_plot(
        ESTIMATES, families=families, title="T", xlabel="nDCG@10", reference=("random", 0.06)
    )
    np.testing.assert_array_equal(arrays["value"], [0.187, 0.473, 0.476])
    np.testing.assert_array_equal(arrays["low"], [0.175, 0.458, 0.461])
    np.testing.assert_array_equal(arrays["high"], [0.199, 0.488, 0.491])
    np.testing.assert_array_equal(arrays["reference"], [0.06])
    (ax,) = fig.axes
    bars = [line.get_xdata() for line in ax.lines if line.get_marker() == "|"]
    np.testing.assert_array_equal(bars, np.c_[arrays["low"], arrays["high"]])
    assert [text.get_text() for text in ax.texts] == ["0.187", "0.473", "0.476", "random"]
    assert ax.texts[0].get_color() == plots.FAMILIES["popularity"][0]
    low, high = ax.get_ylim()
    assert low > high  # first name on top
    assert_apart(fig, [*ax.texts, *ax.get_yticklabels(), *fig.texts])


def test_interval_plot_takes_comparisons_and_a_panel():
    fig, axes = plt.subplots(1, 2)
    one = Comparison(0.02, 0.01, 0.03, 0.001, 0.4, 900)
    same, arrays = interval_plot({"gain": one}, title="Cold", spec="+.2f", ax=axes[1])
    assert same is fig
    assert arrays["value"].tolist() == [0.02]
    assert axes[1].texts[0].get_text() == "+0.02"
    assert axes[1].get_title("left") == "Cold"
    assert not axes[0].lines


def test_loss_curves_name_each_line_once_and_apart():
    curves = {
        "printed": [0.84, 0.70, 0.577],
        "rebuilt": [0.70, 0.65, 0.585],
        "again": [0.69, 0.64, 0.584, 0.583],
        "with interaction": [0.69, 0.5, 0.4],
    }
    fig, arrays = loss_curves(
        curves, families={"with interaction": "id"}, dashed=["printed"], title="T"
    )
    assert list(arrays) == list(curves)
    np.testing.assert_array_equal(arrays["again"], curves["again"])
    (ax,) = fig.axes
    lines = [line for line in ax.lines if line.get_linestyle() != "None"]
    assert [line.get_linestyle() for line in lines] == ["--", "-", "-", "-"]
    assert [line.get_xdata().tolist() for line in lines][2] == [1, 2, 3, 4]
    assert len({line.get_color() for line in lines}) == 4
    assert lines[3].get_color() == plots.FAMILIES["id"][0]
    assert sorted(text.get_text() for text in ax.texts) == sorted(curves)
    assert {text.get_text(): text.get_color() for text in ax.texts}["printed"] == (
        lines[0].get_color()
    )
    fig.draw_without_rendering()
    bare = [plt.Text.get_window_extent(text) for text in ax.texts]
    assert not any(one.overlaps(other) for one, other in combinations(bare, 2))


def test_loss_curves_on_a_log_axis_without_markers_when_long():
    fig, _ = loss_curves({"long": np.geomspace(1, 1e-6, 200)}, log=True)
    (ax,) = fig.axes
    assert ax.get_yscale() == "log"
    assert len(ax.lines) == 1


def test_item_map_highlights_and_labels_without_overlap():
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(400, 2))
    highlight = {"history": [1, 2, 3, 4], "recommended": [5, 6, 7], "next": [7, 8]}
    labels = {code: f"Film number {code} (1995)" for code in range(60)}
    fig, arrays = item_map(xy, highlight=highlight, labels=labels, title="User 42")
    (ax,) = fig.axes
    np.testing.assert_array_equal(arrays["next"], [7, 8])
    assert 5 <= len(arrays["labelled"]) < 60  # the crowd does not fit, and is left out
    assert [text.get_text() for text in ax.texts] == [labels[code] for code in arrays["labelled"]]
    assert_apart(fig, ax.texts)
    for box in boxes(fig, ax.texts):
        assert ax.bbox.containsx(box.x0)
        assert ax.bbox.containsx(box.x1)
    color = {text.get_text(): text.get_color() for text in ax.texts}
    for code in arrays["labelled"]:
        role = next((r for r in ("next", "recommended", "history") if code in highlight[r]), None)
        assert color[labels[code]] == (plots.ROLES[role][0] if role else plots.INK)


def test_item_map_of_items_alone():
    fig, arrays = item_map([[0, 0], [1, 1]])
    assert arrays["labelled"].tolist() == []
    assert fig.axes[0].get_legend() is None


def test_heatmap_writes_readable_numbers():
    matrix = np.array([[0.0, 0.5, 1.0], [0.25, np.nan, 0.75]])
    fig, arrays = heatmap(matrix, ["a", "b"], ["x", "one-hot identity", "z"], title="T")
    (ax,) = fig.axes
    np.testing.assert_array_equal(arrays["matrix"], matrix)
    assert [text.get_text() for text in ax.texts] == ["0.00", "0.50", "1.00", "0.25", "0.75"]
    image = ax.images[0]
    for text in ax.texts:
        background = image.to_rgba(np.array([float(text.get_text())]))[0][:3]
        assert contrast(text.get_color(), background) >= 4.5
    assert_apart(fig, [*ax.get_xticklabels(), *fig.texts])


def test_a_large_heatmap_has_a_colour_bar_and_thinned_names():
    fig, _ = heatmap(np.random.default_rng(0).random((20, 40)), ["r"] * 20, ["c 10"] * 40)
    ax, _bar = fig.axes
    assert not ax.texts
    assert_apart(fig, ax.get_xticklabels())


def test_a_constant_heatmap_draws():
    fig, _ = heatmap([[0.5, 0.5]], ["a"], ["x", "y"])
    fig.draw_without_rendering()


def test_figures_save_opaque(tmp_path):
    fig, _ = interval_plot(ESTIMATES)
    fig.savefig(tmp_path / "figure.png")
    image = plt.imread(tmp_path / "figure.png")
    np.testing.assert_allclose(image[0, 0, :3], to_rgb(plots.PAPER), atol=1 / 255)
    assert (image[..., 3:] == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interval_plot({}), "there is nothing to draw: pass at least one name"),
        (
            lambda: interval_plot(ESTIMATES, families={"EASE": "deep"}),
            r"families holds \['deep'\]: use id, text",
        ),
        (lambda: loss_curves({}), "there is nothing to draw"),
        (lambda: loss_curves({"a": []}), r"curve 'a' must be \(n_epochs,\), got shape \(0,\)"),
        (lambda: loss_curves({"a": [1]}, families={"a": "x"}), "families holds"),
        (lambda: item_map([[1, 2, 3]]), r"xy must be finite and \(n_items, 2\)"),
        (lambda: item_map([[1, np.nan]]), "xy must be finite"),
        (lambda: item_map([[0, 0]], highlight={"seen": [0]}), r"highlight has \['seen'\]: use his"),
        (lambda: item_map([[0, 0]], highlight={"next": [1]}), "item code 1 is no row of xy"),
        (lambda: item_map([[0, 0]], labels={-1: "a"}), "item code -1 is no row of xy"),
        (lambda: heatmap([[1]], ["a", "b"], ["c"]), r"matrix has shape \(1, 1\) but there are 2"),
        (lambda: heatmap([[np.nan]], ["a"], ["c"]), "matrix holds no finite number"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_shown_figure_is_closed():
    fig, axes = plots.panels(2, height=2.0)
    assert len(axes) == 2
    assert tuple(fig.get_size_inches()) == (8.4, 2.0)
    assert plots.show(fig) is fig
    assert not plt.fignum_exists(fig.number)
