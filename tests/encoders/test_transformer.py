import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from llmrec import fetch
from llmrec.encoders import CachedEncoder, TransformerEncoder, get_encoder
from llmrec.encoders import transformer as module

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "dog", "sat", "on", "mat", "red"]
WORDS += ["blue", "film"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, request):
    if "component" not in request.keywords:
        monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LLMREC_DEVICE", "cpu")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A BERT of two small random layers, with a word tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny"
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    settings = BertConfig(vocab_size=len(WORDS), intermediate_size=64, **sizes)
    BertModel(settings).save_pretrained(folder)
    return folder


def exact(folder, **options):
    return TransformerEncoder(folder, precision="float32", **options)


TEXTS = ["the cat sat on the mat", "red film", "dog", "the dog sat", "blue cat film"]


class TestTiny:
    @pytest.mark.parametrize("pooling", ["mean", "last"])
    def test_pooling_equals_the_model_run_by_hand(self, tiny, pooling):
        encoder = exact(tiny, pooling=pooling)
        ids = torch.tensor([[2, 10, 12, 3]])
        with torch.inference_mode():
            hidden = encoder.model(input_ids=ids)[0][0].numpy()  # (t, d)
        want = hidden.mean(axis=0) if pooling == "mean" else hidden[-1]
        got = encoder.encode(TEXTS)[1]
        np.testing.assert_allclose(got, want / np.linalg.norm(want), atol=1e-5)

    def test_batch_equals_single(self, tiny, monkeypatch):
        monkeypatch.setattr(module, "BATCH_TOKENS", 16)
        encoder = exact(tiny)
        got = encoder.encode([*TEXTS, ""])
        assert got.shape == (6, encoder.dim) == (6, 32)
        assert not got[5].any()
        for text, row in zip(TEXTS, got, strict=False):
            np.testing.assert_allclose(encoder.encode([text])[0], row, atol=1e-5)

    def test_max_length_cuts(self, tiny):
        encoder = exact(tiny, max_length=4)
        a, b = encoder.encode(["the cat", "the cat sat on the mat"])
        np.testing.assert_allclose(a, b, atol=1e-6)
        assert encoder.count_tokens("the cat sat on the mat") == 8

    def test_fingerprint_changes_with_what_changes_the_vectors(self, tiny):
        base = exact(tiny).fingerprint
        assert exact(tiny).fingerprint == base
        assert exact(tiny, pooling="last").fingerprint != base
        assert exact(tiny, max_length=4).fingerprint != base
        assert TransformerEncoder(tiny, precision="bfloat16").fingerprint != base

    def test_precision_is_checked_not_assumed(self, tiny, monkeypatch, tmp_path):
        monkeypatch.setattr(module, "_has_bfloat16", lambda: False)
        assert TransformerEncoder(tiny).precision == "float32"
        monkeypatch.setattr(module, "_has_bfloat16", lambda: True)
        monkeypatch.setattr(module, "_FIDELITY", 1.1)  # no model can pass
        assert TransformerEncoder(tiny).precision == "float32"
        monkeypatch.setattr(module, "_FIDELITY", 0.0)
        assert TransformerEncoder(tiny).precision == "float32"  # the verdict is kept ...
        monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "another"))
        assert TransformerEncoder(tiny).precision == "bfloat16"  # ... in the cache
        monkeypatch.setenv("LLMREC_PRECISION", "float32")
        assert TransformerEncoder(tiny).precision == "float32"

    def test_a_folder_is_cached_and_a_hit_does_not_load_the_model(self, tiny):
        encoder = get_encoder(tiny, precision="float32")
        assert isinstance(encoder, CachedEncoder)
        want = encoder.encode(TEXTS)
        again = get_encoder(tiny, precision="float32")
        np.testing.assert_array_equal(again.encode(TEXTS), want)
        assert "model" not in vars(again.encoder)
        assert isinstance(get_encoder(tiny, cache=False), TransformerEncoder)


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"pooling": "max"}, "pooling 'max' is not 'mean' or 'last'"),
            ({"precision": "int4"}, "precision 'int4' is not"),
            ({"max_length": 0}, "max_length 0"),
        ],
    )
    def test_options(self, tiny, options, message):
        with pytest.raises(ValueError, match=message):
            get_encoder(tiny, **options)

    def test_bad_precision_variable(self, tiny, monkeypatch):
        monkeypatch.setenv("LLMREC_PRECISION", "float64")
        with pytest.raises(ValueError, match="precision 'float64'"):
            get_encoder(tiny)

    def test_unreachable_hub(self, monkeypatch):
        def offline(*_, **__):
            raise ConnectionError("a long\nstory")

        monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
        with pytest.raises(FileNotFoundError, match=r"^model 'some/model' is neither .* once$"):
            get_encoder("some/model")

    def test_only_safe_files_are_downloaded(self, monkeypatch, tiny):
        asked = {}

        def download(name, allow_patterns):
            asked[name] = allow_patterns
            return str(tiny)

        monkeypatch.setattr("huggingface_hub.snapshot_download", download)
        get_encoder("some/model")
        assert not any(p.endswith((".bin", ".py", ".pt", "*")) for p in asked["some/model"])

    def test_pickled_weights_only(self, tmp_path):
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "pytorch_model.bin").write_bytes(b"")
        with pytest.raises(FileNotFoundError, match=r"no \*\.safetensors: only safetensors load"):
            get_encoder(tmp_path)

    def test_damaged_weights(self, tiny, tmp_path):
        for path in tiny.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        weights = tmp_path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        with pytest.raises(ValueError, match="cannot load the model in"):
            exact(tmp_path).encode(["cat"])

    def test_remote_code_is_refused(self, tiny, tmp_path):
        for path in tiny.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        settings = json.loads((tmp_path / "config.json").read_text())
        settings |= {"model_type": "mine", "auto_map": {"AutoConfig": "m.C", "AutoModel": "m.M"}}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        with pytest.raises(ValueError, match="cannot load the model in"):
            exact(tmp_path).encode(["cat"])

    def test_a_failed_conversion_leaves_nothing(self, tmp_path, monkeypatch):
        (tmp_path / "bad.gguf").write_bytes(b"not a gguf file")
        with pytest.raises(ValueError, match="cannot load the model in"):
            module.convert_gguf(tmp_path / "bad.gguf", tmp_path / "out" / "model")
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["model.lock"]


CONVERT = """
import sys, time
from pathlib import Path
from llmrec.encoders import transformer
def slow(source, folder):
    time.sleep(0.5)
    print("converted")
transformer._write_converted = slow
transformer.convert_gguf(Path("x.gguf"), Path(sys.argv[1]))
"""


def test_two_processes_convert_once(tmp_path):
    command = [sys.executable, "-c", CONVERT, tmp_path / "model"]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [job.communicate(timeout=120)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    assert sorted(said) == ["", "converted\n"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "model.lock"]


SENTENCES = [
    "A cat sleeps on the sofa.",
    "A kitten naps on the couch.",
    "The central bank raised interest rates.",
    "The Godfather (1972). Genres: Crime, Drama.",
    "ice",
]


@pytest.mark.component
class TestMiniLM:
    def test_equals_sentence_transformers(self):
        from sentence_transformers import SentenceTransformer

        theirs = SentenceTransformer(str(fetch.get("minilm")), device="cpu")
        want = theirs.encode(SENTENCES, normalize_embeddings=True)
        for precision, least in (("float32", 0.99999), (None, 0.999)):
            got = get_encoder("minilm", cache=False, precision=precision).encode(SENTENCES)
            assert (got * want).sum(axis=1).min() >= least

    def test_meaning_dims_and_tokens(self):
        encoder = get_encoder("minilm")
        got = encoder.encode(SENTENCES)
        assert encoder.dim == 384
        assert got[0] @ got[1] > 0.5 > 0.2 > got[0] @ got[2]
        assert encoder.count_tokens("ice") == 3

    def test_batch_equals_single(self):
        encoder = get_encoder("minilm", cache=False)
        got = encoder.encode(SENTENCES)
        for text, row in zip(SENTENCES, got, strict=True):
            assert row @ encoder.encode([text])[0] > 1 - 1e-3


@pytest.mark.component
class TestSmolLM2:
    def test_pooling_and_meaning(self):
        mean, last = (get_encoder("smollm2", pooling=p) for p in ("mean", "last"))
        a, b = mean.encode(SENTENCES), last.encode(SENTENCES)
        assert mean.dim == 576
        assert mean.fingerprint != last.fingerprint
        assert (a * b)[:4].sum(axis=1).max() < 0.99  # a text of one token is its own mean
        assert a[0] @ a[1] > a[0] @ a[2]
        centred = a - a.mean(axis=0)  # without the common direction
        assert centred[0] @ centred[1] > 0 > centred[0] @ centred[2]

    def test_the_conversion_is_whole(self):
        encoder = get_encoder("smollm2", cache=False)
        assert {p.name for p in encoder.path.iterdir()} >= {"config.json", "model.safetensors"}
        assert "quantization_config" not in json.loads((encoder.path / "config.json").read_text())
        from transformers import AutoModelForCausalLM

        decoder = AutoModelForCausalLM.from_pretrained(encoder.path)
        ids = encoder.tokenizer("The capital of France is", return_tensors="pt")
        with torch.inference_mode():
            best = int(decoder(**ids).logits[0, -1].argmax())
        assert encoder.tokenizer.decode([best]).strip() == "Paris"
