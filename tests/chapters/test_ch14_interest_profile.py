import numpy as np
import pytest

from chapters.ch14_interest_profile import (
    InterestProfile,
    _names,
    _titles,
    _whole_sentences,
    faithfulness,
)
from llmrec.encoders import get_encoder
from llmrec.language_model import LanguageModel
from llmrec.models import TextSimilarity
from llmrec.vectors import unit_rows


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LLMREC_DEVICE", "cpu")


@pytest.fixture
def split(split_of):
    out = split_of([(0, 0), (0, 1), (1, 2), (2, 3)], 4, 5, test=[(0, 4)])
    out.dataset.items["title"] = ["Alien", "Star Wars", "The Hot Shots", "Emma", "Blade Runner"]
    out.dataset.items["genres"] = ["Horror, Sci-Fi", "Sci-Fi", "Comedy", "Drama", "Sci-Fi"]
    return out


class Writer:
    """Stands in for a language model that writes given texts, and remembers its prompts."""

    def __init__(self, *texts):
        self.texts, self.asked = texts, []

    def generate(self, prompts, max_new_tokens, stop):
        self.asked += prompts
        return list(self.texts[: len(prompts)])


def test_a_profile_is_whole_sentences_from_the_history_only(split):
    model = Writer("space films. And horror! But", "laughing")
    profiles = InterestProfile(model).write(split, [0, 3, 1])
    assert profiles == [
        "This person enjoys space films. And horror!",
        "",  # user 3 has no history, so nothing is asked
        "This person enjoys laughing",
    ]
    first, second = (chat.user for chat in model.asked)
    assert '"Alien (Horror, Sci-Fi)", "Star Wars (Sci-Fi)"' in first
    assert "Blade Runner" not in first  # a test item
    assert "The Hot Shots (Comedy)" in second


def test_features_encode_the_profiles_of_the_asked_users(split):
    encoder = get_encoder("hash", dim=64)
    items = encoder.encode(["horror space", "space", "laugh", "love", "space"])
    model = Writer("space", "laugh")
    features = InterestProfile(model).features(split, [0, 1], encoder, items)
    want = encoder.encode(["This person enjoys space", "This person enjoys laugh"])
    np.testing.assert_array_equal(features.users[:2], want)
    assert not features.users[2:].any()
    best = TextSimilarity().fit(split, features).score(np.array([0, 1]))
    assert best[0, 4] > best[0, 3]
    assert best[1].argmax() == 2


class Fixed:
    """An encoder whose vector of a text is looked up."""

    def __init__(self, table):
        self.table = table

    def encode(self, texts):
        return unit_rows(np.array([self.table[text] for text in texts], np.float32))


def test_faithfulness_by_hand(split):
    profiles = [
        'Loves Sci-Fi and comedies, such as "Alien," and Blade Runner.',
        "Enjoys comedy. See The Hot Shots, not Emma.",
        "Has taste.",
    ]
    vectors = {profiles[0]: [1, 0], profiles[1]: [0, 1], profiles[2]: [3, 4]}
    items = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1]], float)
    found = faithfulness(profiles, split, [0, 1, 2], Fixed(vectors), items)
    assert found.topics.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(found.supported, [0.5, 1.0, np.nan])
    # the next user's history: user 0 against {comedy}, user 1 against {drama}
    np.testing.assert_array_equal(found.supported_by_other, [0.5, 0.0, np.nan])
    assert found.titles.tolist() == [2, 1, 0]
    assert found.invented.tolist() == [1, 0, 0]  # Blade Runner was never told
    np.testing.assert_allclose(found.own, [1, 1, 0.6], atol=1e-6)
    np.testing.assert_allclose(found.other, [0.5, 0.0, (0.6 + 0.8) / 2], atol=1e-6)
    # user 0: histories (1,0), (0,1), (1,0): one below, one tied
    np.testing.assert_allclose(found.identified, [0.75, 1.0, 0.25])


def test_bad_input(split):
    encoder = Fixed({})
    with pytest.raises(ValueError, match="1 profiles and 2 users"):
        faithfulness(["a"], split, [0, 1], encoder, np.eye(5))
    with pytest.raises(ValueError, match="at least 2"):
        faithfulness(["a"], split, [0], encoder, np.eye(5))
    with pytest.raises(KeyError, match="items have no column 'keywords'"):
        faithfulness(["a", "b"], split, [0, 1], encoder, np.eye(5), topics="keywords")


@pytest.mark.parametrize(
    ("topic", "text", "named"),
    [
        ("comedy", "Comedies!", True),
        ("drama", "dramas", True),
        ("drama", "dramatic", False),
        ("children's", "films for children", True),
        ("war", "Star Wars", True),
        ("war", "warm films", False),
        ("sci-fi", "SCI-FI", True),
    ],
)
def test_topics_are_whole_words(topic, text, named):
    assert _names(topic, text) is named


def test_titles_and_sentences():
    names = {"Star Wars", "It's a Wonderful Life"}
    assert _titles("Star Wars and Star Warship", names) == {"star wars"}
    assert _titles("like “Heat.” and 'Ran'", names) == {"heat"}
    assert _titles("It's a Wonderful Life.", names) == {"it's a wonderful life"}
    assert _whole_sentences("A b. C d") == "A b."
    assert _whole_sentences("no end\nhere") == "no end here"


def test_with_a_real_decoder(split, tiny_decoder):
    profile = InterestProfile(LanguageModel(tiny_decoder), max_new_tokens=6)
    one, two = (profile.write(split, [0, 1, 3]) for _ in range(2))
    assert one == two
    assert one[2] == ""
    assert all(text.startswith("This person enjoys") for text in one[:2])
