import math

import numpy as np
import pytest
import torch

from chapters.ch02_tiny_language_model import (
    BytePairs,
    TinyDecoder,
    TinyLanguageModel,
    bits_per_character,
    clean_words,
    is_stop_word,
)

TEXTS = [
    clean_words(f"{title} ({year}). Genres: {genre}.")
    for title, year, genre in [
        ("The Rock", 1996, "Action"),
        ("The Net", 1995, "Thriller"),
        ("Heat", 1995, "Crime"),
        ("Babe", 1995, "Comedy"),
        ("The Piano", 1993, "Drama"),
        ("Ran", 1985, "Drama"),
    ]
]


@pytest.fixture(scope="module")
def vocabulary() -> BytePairs:
    return BytePairs(TEXTS, size=230)


@pytest.fixture(scope="module")
def model(vocabulary) -> TinyLanguageModel:
    options = {"dim": 16, "layers": 2, "heads": 2, "context": 64, "lr": 1e-2, "batch_size": 3}
    return TinyLanguageModel(vocabulary, **options, epochs=40).fit(TEXTS)


# --- words and pieces ---------------------------------------------------------------------------


def test_cleaning_by_hand():
    assert clean_words("Amélie & Léon: the  CAT's\t(1995)!") == [
        "amelie",
        "&",
        "leon",
        ":",
        "the",
        "cat's",
        "(",
        "1995",
        ")",
        "!",
    ]
    assert clean_words("推荐 \x00") == []


def test_the_stop_list_is_scikit_learns():
    assert [w for w in ("the", "fire", "nobody", "western", "1995", ".") if is_stop_word(w)] == [
        "the",
        "fire",
        "nobody",
    ]


def test_byte_pairs_merge_the_most_frequent_neighbours_first():
    words = ["hug"] * 10 + ["pug"] * 5 + ["pun"] * 12 + ["bun"] * 4 + ["hugs"] * 5
    # neighbours, with the end marked: p,u 17, u,n$ 16, h,u 15, u,g$ 15, b,u 4, u,n 0
    one_merge = BytePairs([words], size=138)  # the mark, 68 characters inside and at an end, "pu"
    assert one_merge.size == 138
    assert one_merge.pieces("pun") == ["pu", "n"]
    assert one_merge.pieces("hug") == ["h", "u", "g"]
    assert BytePairs([words], size=139).pieces("hug") == ["hu", "g"]  # "un$" is down to 4: bun


def test_every_clean_word_has_pieces_that_spell_it(vocabulary):
    for word in ("the", "genres", "zyx-", "x", "?", "amelie's", "1995"):
        for clean in clean_words(word):
            assert "".join(vocabulary.pieces(clean)) == clean
            assert vocabulary.words(vocabulary.codes(clean)) == [clean]
    codes = [c for word in TEXTS[0] for c in vocabulary.codes(word)]
    assert vocabulary.words([0, *codes, 0]) == TEXTS[0]
    assert 0 not in codes  # the mark between texts is no piece of a word


def test_the_same_texts_give_the_same_pieces(vocabulary):
    again = BytePairs(TEXTS, size=230)
    assert again.tokenizer.get_vocab() == vocabulary.tokenizer.get_vocab()


def test_a_word_that_is_not_clean_is_refused(vocabulary):
    for word in ("", "two words", "é"):
        with pytest.raises(ValueError, match="use clean_words"):
            vocabulary.codes(word)


def test_a_vocabulary_needs_texts_and_room():
    with pytest.raises(ValueError, match="no text"):
        BytePairs([[]], size=300)
    with pytest.raises(ValueError, match="must be over"):
        BytePairs(TEXTS, size=100)


# --- the network --------------------------------------------------------------------------------


@pytest.fixture
def decoder() -> TinyDecoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TinyDecoder(size=50, dim=16, layers=2, heads=4, context=12).eval()


@torch.no_grad()
def test_a_later_token_leaves_earlier_logits(decoder):
    tokens = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    changed = tokens.clone()
    changed[0, 5] = 7
    before, after = decoder(tokens), decoder(changed)
    assert before.shape == (1, 8, 50)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().amax(dim=-1).min() > 1e-4


@torch.no_grad()
def test_an_earlier_token_reaches_the_last_one_at_any_distance(decoder):
    tokens = torch.arange(12)[None]
    changed = tokens.clone()
    changed[0, 0] = 40
    assert (decoder(tokens)[0, -1] - decoder(changed)[0, -1]).abs().max() > 1e-5


@torch.no_grad()
def test_one_block_equals_attention_written_out(decoder):
    block = decoder.blocks[0]
    x = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(1))
    q, k, v = block.query_key_value(block.norm_look(x))[0].split(16, dim=1)
    seen = torch.zeros(5, 16)
    for head in range(4):
        part = slice(4 * head, 4 * head + 4)
        for t in range(5):
            fit = torch.stack([q[t, part] @ k[s, part] for s in range(t + 1)]) / math.sqrt(4)
            weight = fit.exp() / fit.exp().sum()
            seen[t, part] = sum(weight[s] * v[s, part] for s in range(t + 1))
    expected = x + block.out(seen)
    expected = expected + block.think(block.norm_think(expected))
    torch.testing.assert_close(block(x), expected)


@torch.no_grad()
def test_an_untrained_network_spreads_its_belief_evenly(decoder):
    tokens = torch.randint(0, 50, (20, 12), generator=torch.Generator().manual_seed(2))
    loss = torch.nn.functional.cross_entropy(
        decoder(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()
    )
    assert loss.item() == pytest.approx(math.log(50), abs=0.1)


# --- the model ----------------------------------------------------------------------------------


def test_training_lowers_the_loss_and_repeats_itself(model, vocabulary):
    assert model.losses_[0] > 1.5 * model.losses_[-1]
    again = TinyLanguageModel(
        vocabulary, 16, 2, 2, context=64, lr=1e-2, batch_size=3, epochs=40
    ).fit(TEXTS)
    assert again.losses_ == model.losses_
    assert model.valid_losses_ == []


def test_bits_are_those_of_the_networks_probabilities(model, vocabulary):
    words = ["the", "heat"]
    codes = [0, *vocabulary.codes("the"), *vocabulary.codes("heat"), 0]
    with torch.no_grad():
        p = model.network_(torch.tensor([codes]))[0].softmax(-1).double()
    each = [-math.log2(p[t, codes[t + 1]]) for t in range(len(codes) - 1)]
    n = len(vocabulary.codes("the"))
    expected = [sum(each[:n]), sum(each[n:-1]), each[-1]]
    assert model.bits([words])[0] == pytest.approx(expected, rel=1e-4)


def test_bits_do_not_depend_on_the_batch(model):
    together = model.bits([*TEXTS, ["ran"], []])
    for words, bits in zip([*TEXTS, ["ran"], []], together, strict=True):
        assert len(bits) == len(words) + 1
        assert bits == pytest.approx(model.bits([words])[0], rel=1e-4)
        assert (bits > 0).all()


def test_more_texts_than_a_batch_keep_their_order(model):
    many = [TEXTS[i % 6] for i in range(150)]
    bits, vectors = model.bits(many), model.encode(many)
    for i in (0, 63, 64, 65, 149):
        assert bits[i] == pytest.approx(bits[i % 6], rel=1e-3)
        assert vectors[i] == pytest.approx(vectors[i % 6], abs=1e-4)


def test_vectors_are_means_of_states_without_the_ends(model, vocabulary):
    codes = [0, *vocabulary.codes("the"), *vocabulary.codes("rock"), 0]
    with torch.no_grad():
        mean = model.network_.states(torch.tensor([codes]))[0, 1:-1].mean(dim=0).numpy()
    found = model.encode([["the", "rock"], [], TEXTS[0]])
    assert found.dtype == np.float32
    assert found.shape == (3, 16)
    assert found[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert not found[1].any()
    assert np.linalg.norm(found[2]) == pytest.approx(1, abs=1e-5)


def test_validation_keeps_the_best_epoch(vocabulary):
    fitted = TinyLanguageModel(
        vocabulary, 16, 1, 2, context=64, lr=5e-2, batch_size=3, epochs=40, patience=2
    ).fit(TEXTS[:3], TEXTS[3:])
    worst_last = fitted.valid_losses_
    assert len(worst_last) < 40
    assert len(worst_last) == len(fitted.losses_) == int(np.argmin(worst_last)) + 3
    bits = fitted.bits(TEXTS[3:])
    tokens = sum(len(fitted.vocabulary.codes(w)) for words in TEXTS[3:] for w in words) + 3
    nats = sum(b.sum() for b in bits) * math.log(2) / tokens
    assert nats == pytest.approx(min(worst_last), rel=1e-4)


def test_what_it_writes_is_drawn_from_it(model):
    texts = [model.write([], np.random.default_rng(s)) for s in range(20)]
    assert texts[0] == model.write([], np.random.default_rng(0))
    assert sum(text[0] == "the" for text in texts) >= 3  # half of the titles begin so
    assert model.write(["heat"], np.random.default_rng(0))[0].startswith("heat")


def test_bits_per_character_by_hand():
    texts = [["heat", "("], ["ran"]]  # 5 + 2 and 4 characters, spaces included
    assert bits_per_character([np.array([5.0, 2.0, 4.0]), np.array([11.0])], texts) == 2.0


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([], {}, "no text to learn"),
        (TEXTS, {"dim": 10, "heads": 4}, "not a multiple"),
        (TEXTS, {"context": 4}, "raise context"),
        ([["Heat"]], {}, "use clean_words"),
    ],
)
def test_bad_input_is_refused_in_one_line(vocabulary, texts, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        TinyLanguageModel(vocabulary, **options).fit(texts)
    assert "\n" not in str(caught.value)
