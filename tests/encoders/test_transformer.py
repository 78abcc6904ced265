import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from llmrec import fetch
from llmrec.encoders import CachedEncoder, TransformerEncoder, folders, get_encoder
from llmrec.encoders import transformer as module
from llmrec.encoders.folders import made_once

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
    @pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
    def test_pooling_equals_the_model_run_by_hand(self, tiny, pooling):
        encoder = exact(tiny, pooling=pooling)
        ids = torch.tensor([[2, 10, 12, 3]])
        with torch.inference_mode():
            hidden = encoder.model(input_ids=ids)[0][0].numpy()  # (t, d)
        want = {"mean": hidden.mean(axis=0), "last": hidden[-1], "cls": hidden[0]}[pooling]
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

    def test_precision_is_float32_unless_asked(self, tiny, monkeypatch):
        monkeypatch.delenv("LLMREC_PRECISION", raising=False)
        assert TransformerEncoder(tiny).precision == "float32"
        monkeypatch.setenv("LLMREC_PRECISION", "bfloat16")
        encoder = TransformerEncoder(tiny)
        assert (encoder.precision, encoder.model.dtype) == ("bfloat16", torch.bfloat16)
        assert exact(tiny).precision == "float32"

    def test_a_folder_is_cached_and_a_hit_does_not_load_the_model(self, tiny):
        encoder = get_encoder(tiny, precision="float32")
        assert isinstance(encoder, CachedEncoder)
        want = encoder.encode(TEXTS)
        again = get_encoder(tiny, precision="float32")
        np.testing.assert_array_equal(again.encode(TEXTS), want)
        assert "model" not in vars(again.encoder)
        assert isinstance(get_encoder(tiny, cache=False), TransformerEncoder)


class TestSentenceTransformersFolder:
    @pytest.fixture
    def folder(self, tiny, tmp_path):
        """The tiny model, saved with these settings by sentence-transformers' own format."""

        def make(pooling=None, modules=(), prompts=None):
            folder = tmp_path / "saved"
            shutil.copytree(tiny, folder, dirs_exist_ok=True)
            (folder / "1_Pooling").mkdir(exist_ok=True)
            (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling or {}))
            kinds = ["Transformer", "Pooling", *modules]
            (folder / "modules.json").write_text(json.dumps([{"type": f"s.m.{k}"} for k in kinds]))
            path = folder / "config_sentence_transformers.json"
            path.write_text(json.dumps(prompts or {}))
            return folder

        return make

    @pytest.mark.parametrize(
        ("settings", "pooling"),
        [
            ({"pooling_mode": "cls"}, "cls"),
            ({"pooling_mode": "lasttoken", "include_prompt": True}, "last"),
            ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
            ({"pooling_mode_mean_tokens": True, "include_prompt": True}, "mean"),
            ({"pooling_mode_lasttoken": True}, "last"),
            (None, "mean"),
        ],
    )
    def test_pools_as_the_folder_says(self, folder, settings, pooling):
        here = folder(settings, modules=["Normalize"])
        encoder, told = exact(here), exact(here, pooling=pooling)
        assert encoder.pooling == pooling
        assert encoder.fingerprint == told.fingerprint
        np.testing.assert_array_equal(encoder.encode(TEXTS), told.encode(TEXTS))

    @pytest.mark.parametrize("mode", ["cls", "lasttoken", "mean"])
    def test_equals_sentence_transformers(self, folder, mode):
        from sentence_transformers import SentenceTransformer

        prompts = {"prompts": {"query": "red "}, "default_prompt_name": "query"}
        here = folder({"pooling_mode": mode, "embedding_dimension": 32}, prompts=prompts)
        modules = [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {
                "idx": 1,
                "name": "1",
                "path": "1_Pooling",
                "type": "sentence_transformers.models.Pooling",
            },
        ]
        (here / "modules.json").write_text(json.dumps(modules))
        want = SentenceTransformer(str(here), device="cpu").encode(
            TEXTS, normalize_embeddings=True, show_progress_bar=False
        )
        np.testing.assert_allclose(exact(here).encode(TEXTS), want, atol=1e-5)

    def test_the_default_prompt_stands_before_each_text(self, folder):
        prompts = {"prompts": {"query": "red ", "passage": "blue "}, "default_prompt_name": "query"}
        encoder, plain = exact(folder(prompts=prompts)), exact(folder(prompts=prompts), prefix="")
        assert (encoder.prefix, plain.prefix) == ("red ", "")
        np.testing.assert_array_equal(encoder.encode(["film"]), plain.encode(["red film"]))
        assert encoder.count_tokens("film") == plain.count_tokens("film") + 1
        assert encoder.fingerprint != plain.fingerprint
        assert exact(folder(prompts={"prompts": {"query": "red "}})).prefix == ""

    @pytest.mark.parametrize(
        ("saved", "message"),
        [
            ({"pooling": {"pooling_mode": "max"}}, "pools by max, which is not computed here"),
            ({"pooling": {"pooling_mode": ["cls", "mean"]}}, "pools by cls, mean, which"),
            ({"modules": ["Dense"]}, "pools by mean, Dense, which"),
        ],
    )
    def test_what_is_not_computed_here_is_refused(self, folder, saved, message):
        with pytest.raises(ValueError, match=message):
            exact(folder(**saved))
        assert exact(folder(**saved), pooling="mean").pooling == "mean"

    def test_a_prompt_that_pooling_leaves_out_is_refused(self, folder):
        prompts = {"prompts": {"query": "red "}, "default_prompt_name": "query"}
        here = folder({"pooling_mode": "mean", "include_prompt": False}, prompts=prompts)
        with pytest.raises(ValueError, match="pools by mean, without its prompt, which"):
            exact(here)


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"pooling": "max"}, "pooling 'max' is not 'mean', 'last' or 'cls'"),
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


CONVERT = """
import sys, time
from pathlib import Path
from llmrec.encoders.folders import made_once
def slow(folder):
    time.sleep(0.5)
    print("made")
made_once(Path(sys.argv[1]), slow)
"""


class TestMadeOnce:
    @staticmethod
    def make(folder):
        (folder / "model.safetensors").write_bytes(bytes(1000))
        (folder / "config.json").write_text("{}")

    def test_two_processes_make_it_once(self, tmp_path):
        command = [sys.executable, "-c", CONVERT, tmp_path / "model"]
        jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        outputs = [job.communicate(timeout=120)[0] for job in jobs]
        assert [job.returncode for job in jobs] == [0, 0]
        assert sorted(outputs) == ["", "made\n"]
        assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "model.lock"]

    @pytest.mark.parametrize("damage", ["overwritten", "cut", "lost", "sums"])
    def test_a_damaged_folder_is_made_again(self, tmp_path, damage):
        folder = made_once(tmp_path / "model", self.make)
        weights = folder / "model.safetensors"
        if damage == "overwritten":
            weights.write_bytes(bytes(500) + b"\1" + bytes(499))
        elif damage == "cut":
            weights.write_bytes(bytes(500))
        elif damage == "lost":
            weights.unlink()
        else:
            (folder / "SHA256SUMS").write_bytes(b"\xff")
        with pytest.warns(RuntimeWarning, match="model: damaged, made again"):
            made_once(folder, self.make)
        assert weights.read_bytes() == bytes(1000)
        assert made_once(folder, None) == folder  # whole: nothing is made

    def test_a_failure_and_a_kill_leave_nothing(self, tmp_path):
        (tmp_path / "model.part").mkdir()
        (tmp_path / "model.part" / "half.txt").write_text("a killed run's")
        (tmp_path / "bad.gguf").write_bytes(b"not a gguf file")
        with pytest.raises(ValueError, match="cannot load the model in"):
            made_once(tmp_path / "model", lambda f: folders._convert_gguf(tmp_path / "bad.gguf", f))
        assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.gguf", "model.lock"]


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
        for precision, closeness in (("float32", 0.99999), ("bfloat16", 0.999)):
            got = get_encoder("minilm", cache=False, precision=precision).encode(SENTENCES)
            assert (got * want).sum(axis=1).min() >= closeness

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
