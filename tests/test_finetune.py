import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from peft import PeftModel

from llmrec import finetune
from llmrec.data import Dataset, Split
from llmrec.encoders import TransformerEncoder, get_encoder
from llmrec.encoders.folders import quiet
from llmrec.finetune import (
    LoRA,
    continuation_loss,
    finetune_decoder,
    finetune_encoder,
    info_nce,
    next_item_examples,
)
from llmrec.language_model import LanguageModel

PROMPTS = ["the cat ", "the dog ", "a mat ", "the cat and "]
ANSWERS = ["sat", "ran", "lay", "slept"]
SMALL = LoRA(rank=2, alpha=4, lr=0.02, epochs=12, batch_size=2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LLMREC_DEVICE", "cpu")


@pytest.fixture
def tiny(tiny_decoder):
    return LanguageModel(tiny_decoder)


@pytest.fixture
def split_of():
    """A split whose train part holds the (user, item) cells in this order of time."""

    def make(cells, n_users, n_items, test=((0, 0),)):
        def frame(pairs):
            return pd.DataFrame(pairs, columns=["user", "item"]).assign(
                timestamp=range(1, len(pairs) + 1), weight=1.0, action="viewed"
            )

        items = pd.DataFrame({"item": range(n_items), "title": map(str, range(n_items))})
        everyone = frame([(user, 0) for user in range(n_users)])
        train = frame(cells)
        parts = {"train": train, "valid": train[:0], "test": frame(list(test)), "history": train}
        return Split(Dataset("tiny", everyone, items), name="tiny", seed=0, **parts)

    return make


def pairs_of(model):
    return [
        (model.prompt_ids(p), model.token_ids(a)) for p, a in zip(PROMPTS, ANSWERS, strict=True)
    ]


class TestDecoder:
    def test_the_loss_is_the_mean_over_answer_tokens_only(self, tiny):
        likelihood = tiny.log_likelihood(PROMPTS, ANSWERS)
        want = -likelihood.total.sum() / likelihood.tokens.sum()
        with torch.no_grad():
            got = continuation_loss(tiny.load(), pairs_of(tiny)).item()
        assert got == pytest.approx(want, rel=1e-5)

    def test_only_adapters_get_gradients_and_b_starts_at_zero(self, tiny):
        before = continuation_loss(tiny.load(), pairs_of(tiny)).item()
        adapted = SMALL.adapt(tiny.load())
        loss = continuation_loss(adapted, pairs_of(tiny))
        assert loss.item() == pytest.approx(before, rel=1e-6)  # B = 0: the pretrained model
        loss.backward()
        touched = {n for n, p in adapted.named_parameters() if p.grad is not None}
        assert touched
        assert all("lora_" in name for name in touched)
        assert any(p.grad.abs().max() > 0 for n, p in adapted.named_parameters() if n in touched)

    def test_it_learns_its_answers_and_the_base_stays(self, tiny, tiny_decoder):
        before = tiny.log_likelihood(PROMPTS, ANSWERS).mean
        weights = (tiny_decoder / "model.safetensors").read_bytes()
        tuned = finetune_decoder(tiny, PROMPTS, ANSWERS, SMALL)
        after = tuned.log_likelihood(PROMPTS, ANSWERS).mean
        assert (after > before + 1).all()
        assert (tiny_decoder / "model.safetensors").read_bytes() == weights
        assert tuned.fingerprint != tiny.fingerprint
        assert tuned.path == tiny.path

    def test_the_merged_model_equals_the_adapter_model(self, tiny):
        tuned = finetune_decoder(tiny, PROMPTS, ANSWERS, SMALL)
        with quiet():
            adapted = PeftModel.from_pretrained(tiny.load(), tuned.adapter)
        ids = torch.tensor([tiny.prompt_ids("the cat sat")])
        with torch.inference_mode():
            want, got, base = (m(ids).logits for m in (adapted, tuned.model, tiny.model))
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
        assert (got - base).abs().max() > 0.1

    def test_same_seed_same_bits_and_a_second_call_only_reads(self, tiny, tmp_path, monkeypatch):
        short = LoRA(rank=2, epochs=2, batch_size=2)
        first = finetune_decoder(tiny, PROMPTS, ANSWERS, short).adapter
        data = (first / "adapter_model.safetensors").read_bytes()
        monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "other"))
        second = finetune_decoder(tiny, PROMPTS, ANSWERS, short).adapter
        assert second != first
        assert (second / "adapter_model.safetensors").read_bytes() == data
        monkeypatch.setattr(finetune, "train", None)  # cannot be called
        assert finetune_decoder(tiny, PROMPTS, ANSWERS, short).adapter == second
        settings = json.loads((second / "adapter_config.json").read_text())
        assert settings["base_model_name_or_path"] == "tiny-decoder"  # no path of this machine

    def test_what_is_learnt_names_its_folder(self, tiny):
        short = LoRA(rank=2, epochs=1)
        folders = {
            finetune_decoder(tiny, PROMPTS, ANSWERS, short).adapter,
            finetune_decoder(tiny, PROMPTS, ANSWERS, LoRA(rank=2, epochs=1, seed=1)).adapter,
            finetune_decoder(tiny, PROMPTS, ANSWERS[::-1], short).adapter,
        }
        assert len(folders) == 3

    def test_a_failed_run_leaves_nothing(self, tiny, tmp_path):
        with pytest.raises(ValueError, match="epochs=0"):
            finetune_decoder(tiny, PROMPTS, ANSWERS, LoRA(epochs=0))
        assert [p.suffix for p in (tmp_path / "cache" / "models").iterdir()] == [".lock"]

    def test_bad_input(self, tiny):
        with pytest.raises(ValueError, match="0 prompts and 0 continuations to learn"):
            finetune_decoder(tiny, [], [])
        with pytest.raises(ValueError, match="rank=0"):
            LoRA(rank=0)
        tuned = finetune_decoder(tiny, PROMPTS, ANSWERS, LoRA(rank=1))
        with pytest.raises(ValueError, match="is fine-tuned already"):
            finetune_decoder(tuned, PROMPTS, ANSWERS)


class TestNextItemExamples:
    @pytest.fixture
    def split(self, split_of):
        return split_of([(0, i) for i in range(6)] + [(1, 7)], 3, 9, test=[(0, 8)])

    def test_the_target_follows_its_history_in_train(self, split):
        titles = [f"t{i}" for i in range(9)]
        prompts, answers = next_item_examples(split, titles, 40, history=2)
        assert len(prompts) == len(answers) == 40
        for prompt, answer in zip(prompts, answers, strict=True):
            at = int(answer[1:-1])
            told = prompt.partition(": ")[2]
            assert told == "".join(f'"t{i}", ' for i in range(max(0, at - 2), at)) + '"'
        assert set(answers) == {f't{i}"' for i in range(1, 6)}  # never 8, nor 7: one event only

    def test_the_seed_decides(self, split):
        titles = [f"t{i}" for i in range(9)]
        draws = [next_item_examples(split, titles, 9, seed)[1] for seed in (0, 0, 1)]
        assert draws[0] == draws[1] != draws[2]

    def test_no_sequence(self, split_of):
        with pytest.raises(ValueError, match="no user has two train items"):
            next_item_examples(split_of([(0, 0), (1, 1)], 2, 2), ["a", "b"], 1)


class TestInfoNCE:
    def test_by_hand(self):
        left = torch.eye(2)
        right = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
        # scores / τ with τ = ½: rows (1.2, 0), (1.6, 2)
        rows = math.log(1 + math.exp(-1.2)) + math.log(1 + math.exp(-0.4))
        columns = math.log(1 + math.exp(0.4)) + math.log(1 + math.exp(-2))
        got = info_nce(left, right, torch.zeros(2, 2, dtype=torch.bool), 0.5).item()
        assert got == pytest.approx((rows + columns) / 4, rel=1e-6)

    def test_excluded_pairs_are_no_negatives(self):
        left, right = torch.eye(2), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
        everything = torch.ones(2, 2, dtype=torch.bool)
        assert info_nce(left, right, everything, 0.5).item() == 0.0  # only the own pair is left
        one = torch.tensor([[False, True], [False, False]])
        want = (math.log(1 + math.exp(-0.4)) + math.log(1 + math.exp(0.4))) / 4
        assert info_nce(left, right, one, 0.5).item() == pytest.approx(want, rel=1e-6)


class TestEncoder:
    @pytest.fixture
    def world(self, split_of):
        """Two tastes whose words say nothing of them before training."""
        cells = [(u, i) for u in range(12) for i in range(12) if u % 2 == i % 2 and (u + i) % 3]
        texts = [f"{'abcdefghijkl'[i]} film" for i in range(12)]
        return split_of(cells, 12, 12), texts

    def test_items_of_one_taste_come_together(self, world, tiny_decoder):
        split, texts = world
        encoder = TransformerEncoder(tiny_decoder, precision="float32")
        lora = LoRA(rank=4, lr=0.01, batch_size=8)
        folder = finetune_encoder(encoder, split, texts, steps=25, lora=lora)
        tuned = get_encoder(folder, cache=False, precision="float32")
        assert tuned.fingerprint != encoder.fingerprint

        def gap(vectors):
            cosines = vectors @ vectors.T
            same = np.equal.outer(np.arange(12) % 2, np.arange(12) % 2)
            return cosines[same & ~np.eye(12, dtype=bool)].mean() - cosines[~same].mean()

        before, after = gap(encoder.encode(texts)), gap(tuned.encode(texts))
        assert abs(before) < 0.1
        assert after > before + 0.15
        assert folder == finetune_encoder(encoder, split, texts, steps=25, lora=lora)

    def test_training_pools_as_the_encoder_does(self, tiny_decoder):
        texts = ["a long text", "short"]
        for pooling in ("mean", "last"):
            encoder = TransformerEncoder(tiny_decoder, pooling, precision="float32")
            ids = encoder.tokenizer(texts)["input_ids"]
            with torch.no_grad():
                got = finetune._embed(encoder.model, ids, pooling).numpy()
            np.testing.assert_allclose(got, encoder.encode(texts), atol=1e-5)

    def test_pairs_are_two_train_items_of_one_user(self, world):
        split, _ = world
        sampler = finetune._PairSampler(split)
        users, a, b = sampler(200, np.random.default_rng(0))
        taken = split.matrix("train").toarray()
        assert (taken[users, a] * taken[users, b] == 1).all()
        assert (a != b).all()
        marked = sampler.also_took(users, a, b).numpy()
        for n, m in ((0, 1), (3, 2), (17, 90)):
            assert marked[n, m] == bool(taken[users[n], b[m]] or taken[users[m], a[n]])

    def test_no_pair(self, split_of, tiny_decoder):
        with pytest.raises(ValueError, match="no user has two train items"):
            finetune_encoder(
                TransformerEncoder(tiny_decoder), split_of([(0, 0), (1, 1)], 2, 2), ["a", "b"]
            )
