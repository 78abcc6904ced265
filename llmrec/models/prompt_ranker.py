"""A decoder as recommender: it re-ranks another model's shortlist by what it would write next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import sparse

from llmrec.data import History, Split, sequences
from llmrec.language_model import LanguageModel
from llmrec.models.base import Features, Recommender, check, top_k
from llmrec.prompts import Prompt, inside_quotes, letter, prompt_template
from llmrec.text import item_text

Method = Literal["likelihood", "yes-no", "listwise"]
PROMPTS = {"likelihood": "next", "yes-no": "like", "listwise": "choose"}


@dataclass(eq=False, repr=False)
class PromptRanker(Recommender):
    """Rank a base model's best candidates by a language model's likelihood of them.

    With ``h`` the prompt that tells a user's latest items and ``h₀`` the one that tells nothing, a
    candidate's score is ``z_i = log p(a_i | h) − log p(a_i | h₀)``, where the answer ``a_i`` is

    - ``"likelihood"``: the candidate's title, as the next entry of the list of items;
    - ``"yes-no"``: Yes, asked whether the person would like it, less the same for No;
    - ``"listwise"``: its letter in a list of all candidates, averaged over ``orders`` rotations of
      the list, because a model prefers some letters and places whatever stands there.

    The second term takes out what the model would say to anybody: famous titles, fluent titles, a
    leaning to Yes or to A. ``calibrate=False`` leaves it in. Candidates of the first two methods
    are scored apart, so that their order cannot matter.

    Items outside the shortlist keep the base model's scores; the shortlist stands above them, and
    in base order where the language model sees no difference at all.

    Parameters
    ----------
    base:
        Any recommender; a copy of it is fitted on the same split and features.
    model:
        The language model; None: the bundled one.
    method:
        ``"likelihood"``, ``"yes-no"`` or ``"listwise"``.
    shortlist:
        Number of candidates a user; at most 26 in ``"listwise"``.
    calibrate:
        Subtract the score after the empty history.
    history:
        How many of the latest items the prompt tells.
    whose:
        ``"own"`` history, or as control ``"other"``: that of another user drawn once in `fit`.
    orders:
        Rotations of the list in ``"listwise"``, evenly spaced; with as many as candidates each
        candidate stands once at each place.
    item:
        Item template of `llmrec.text.item_text`.
    kind:
        Noun of an item in the prompt.
    seed:
        Of the control's other users and of the first list order.

    Attributes
    ----------
    base_:
        The fitted base model.
    titles_:
        The catalogue's texts, by item code.

    Notes
    -----
    Item texts are quoted as data: see `llmrec.prompts` and `LanguageModel`.
    """

    base: Recommender
    model: LanguageModel | None = None
    method: Method = "likelihood"
    shortlist: int = 20
    calibrate: bool = True
    history: int = 10
    whose: Literal["own", "other"] = "own"
    orders: int = 4
    item: str = "title"
    kind: str = "film"
    seed: int = 0

    def _fit(self, split: Split, features: Features) -> None:
        self._check()
        self.base_ = type(self.base)(**self.base.params).fit(split, features)
        self.model_ = self.model or LanguageModel()
        self.titles_ = item_text(split.dataset.items, self.item)
        self.recent_ = recent_items(split, self.history)
        told = np.flatnonzero([len(items) > 0 for items in self.recent_])
        cycle = np.random.default_rng(self.seed).permutation(told)
        # One cycle through all who have a history: nobody is told their own.
        self.other_ = np.resize(cycle, split.n_users)
        self.other_[cycle] = np.roll(cycle, 1)

    def _check(self) -> None:
        check(
            self.method in get_args(Method),
            f"PromptRanker: method={self.method!r} is not among {get_args(Method)}",
        )
        check(
            self.whose in ("own", "other"),
            f"PromptRanker: whose={self.whose!r} is neither 'own' nor 'other'",
        )
        check(
            min(self.shortlist, self.history, self.orders) >= 1,
            f"PromptRanker: shortlist={self.shortlist}, history={self.history} and"
            f" orders={self.orders} must be at least 1",
        )
        check(
            self.method != "listwise" or self.shortlist <= 26,
            "PromptRanker: a listwise shortlist has at most 26 items, one a letter",
        )

    def score(self, users: np.ndarray) -> np.ndarray:
        codes = self._codes(users)
        told = codes if self.whose == "own" else self.other_[codes]
        histories = [self.recent_[user] for user in told]
        return self._rerank(self.base_.score(codes), self.seen_[codes], histories)

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        told = [_latest(history.items, self.history) for history in self._checked(histories)]
        if self.whose == "other":
            told = [self.recent_[self.other_[row % len(self.other_)]] for row in range(len(told))]
        return self._rerank(self.base_.fold_in(histories), self._matrix(histories), told)

    def _rerank(
        self, base: np.ndarray, seen: sparse.csr_matrix, histories: Sequence[np.ndarray]
    ) -> np.ndarray:
        out = np.array(base, np.float32)
        masked = out.copy()
        masked[seen.nonzero()] = -np.inf
        listed = [row[row >= 0] for row in top_k(masked, self.shortlist)[0]]
        for scores, items, z in zip(out, listed, self.preferences(listed, histories), strict=True):
            spread = np.ptp(z) if len(z) else 0.0
            if spread > 0:
                top = np.abs(scores).max() + 1.0
                # The gap is at least as large as any base score, so float32 keeps the order.
                scores[items] = top * (1 + (z - z.min()) / spread)
        return out

    def preferences(
        self, listed: Sequence[np.ndarray], histories: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Return ``z`` of each candidate in each list of item codes, given each history's codes."""
        told = self._raw(listed, histories)
        if not self.calibrate:
            return told
        untold = self._raw(listed, [np.array([], np.int64)] * len(listed))
        return [own - nobody for own, nobody in zip(told, untold, strict=True)]

    def _raw(
        self, listed: Sequence[np.ndarray], histories: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Ask everything in one call, so that the model can batch it, and fold the answers."""
        questions: list[tuple[Prompt, str]] = []
        for items, past in zip(listed, histories, strict=True):
            questions += self._questions(items, past)
        prompts, answers = zip(*questions, strict=True) if questions else ((), ())
        total = self.model_.log_likelihood(prompts, answers).total
        scores, at = [], 0
        for items in listed:
            n = len(items)
            if self.method == "yes-no":
                yes, no = total[at : at + 2 * n].reshape(n, 2).T
                scores.append(yes - no)
                at += 2 * n
            elif self.method == "listwise":
                turns = self._turns(n)
                summed = np.zeros(n)
                for order in turns:
                    summed[order] += total[at : at + n]
                    at += n
                scores.append(summed / max(1, len(turns)))
            else:
                scores.append(total[at : at + n])
                at += n
        return scores

    def _questions(self, items: np.ndarray, past: np.ndarray) -> list[tuple[Prompt, str]]:
        wording = prompt_template(PROMPTS[self.method])
        history = [self.titles_[i] for i in past]
        titles = [self.titles_[i] for i in items]
        if self.method == "yes-no":
            asked = [wording.fill(history, self.kind, title) for title in titles]
            return [(prompt, word) for prompt in asked for word in ("Yes", "No")]
        if self.method == "listwise":
            lists = [
                wording.fill(
                    history, self.kind, candidates=[titles[i] for i in order], lettered=True
                )
                for order in self._turns(len(items))
            ]
            return [(prompt, f" {letter(i)}") for prompt in lists for i in range(len(items))]
        prompt = wording.fill(history, self.kind)
        return [(prompt, inside_quotes(title) + '"') for title in titles]

    def _turns(self, n: int) -> list[np.ndarray]:
        """List orders ``(n,)``: a random one, rotated by even steps."""
        first = np.random.default_rng(self.seed).permutation(n)
        count = min(self.orders, n)
        return [np.roll(first, turn * n // count) for turn in range(count)]


def recent_items(split: Split, n: int) -> list[np.ndarray]:
    """Return each user's latest ``n`` distinct items of ``split.history``, oldest first, by code.

    Equal timestamps keep the order of the rows; an item taken again counts where it was last taken.
    """
    return [_latest(items, n) for items in sequences(split.history, split.n_users)]


def _latest(items: np.ndarray, n: int) -> np.ndarray:
    """Return the last ``n`` distinct items, each where it stands last."""
    distinct, place = np.unique(items[::-1], return_index=True)
    return distinct[np.argsort(-place)][-n:]
