import pytest

from llmrec.encoders import Encoder, available, get_encoder


def test_every_name_makes_an_encoder():
    options = {"tfidf": {"corpus": ["a word"]}, "bm25": {"corpus": ["a word"]}}
    options["shuffled"] = {"base": get_encoder("random")}
    for name in set(available()) - {"minilm", "smollm2"}:
        assert isinstance(get_encoder(name, **options.get(name, {})), Encoder)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(KeyError, match="no encoder 'bert': use one of minilm, smollm2, tfidf"):
        get_encoder("bert")


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("hash", "corpus, dim"),
        ("random", "dim, seed"),
        ("minilm", "pooling, max_length, precision, prefix, name"),
    ],
)
def test_unknown_option_lists_the_known_ones(name, takes):
    with pytest.raises(ValueError, match=f"'{name}' has no option 'colour': it takes {takes}$"):
        get_encoder(name, colour="red")
