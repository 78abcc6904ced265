"""Many prompts and continuations in one pass: what they have in common is read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

Ids = tuple[int, ...]
Pair = tuple[Ids, Ids]  # prompt, continuation


class TokenTree:
    """Token sequences with common beginnings, each beginning held once.

    A node sees its ancestors only, at the distance it has in its own sequence, so that one pass
    over the tree equals one pass over each sequence. A continuation's last token predicts nothing
    that is asked and is left out.

    Attributes
    ----------
    tokens, depths, parents:
        Of each node; the parent of a first token is -1.
    pairs:
        The ``(prompt, continuation)`` held, in the order they were added.
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.depths: list[int] = []
        self.parents: list[int] = []
        self.pairs: list[Pair] = []
        self._children: dict[tuple[int, int], int] = {}

    def add(self, prompt: Ids, answer: Ids) -> None:
        """Hold a pair, sharing what the tree holds of it already."""
        node = -1
        for depth, token in enumerate(prompt + answer[:-1]):
            child = self._children.get((node, token))
            if child is None:
                child = self._children[node, token] = len(self.tokens)
                self.tokens.append(token)
                self.depths.append(depth)
                self.parents.append(node)
            node = child
        self.pairs.append((prompt, answer))

    def news(self, sequence: Ids) -> int:
        """Count the tokens of a sequence that the tree does not hold."""
        node = -1
        for depth, token in enumerate(sequence):
            if (node, token) not in self._children:
                return len(sequence) - depth
            node = self._children[node, token]
        return 0

    def path(self, prompt: Ids, answer: Ids) -> list[int]:
        """Return the node before each token of a held answer."""
        node, nodes = -1, []
        for token in prompt + answer[:-1]:
            node = self._children[node, token]
            nodes.append(node)
        return nodes[len(prompt) - 1 :]

    def ancestors(self) -> np.ndarray:
        """Return boolean ``(t, t)``: the row's node sees the column's."""
        sees = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                sees[node] |= sees[parent]
        return sees


def trees(pairs: Sequence[Pair], size: int) -> Iterator[TokenTree]:
    """Pack pairs into trees of at most ``size`` tokens (a longer pair has a tree of its own).

    Sorted, so that neighbours share the most.
    """
    tree = TokenTree()
    for prompt, answer in sorted(pairs):
        if tree.pairs and len(tree.tokens) + tree.news(prompt + answer[:-1]) > size:
            yield tree
            tree = TokenTree()
        tree.add(prompt, answer)
    yield tree
