import numpy as np

from llmrec.token_tree import TokenTree, trees


def test_common_beginnings_are_held_once():
    tree = TokenTree()
    tree.add((5, 6), (7, 8))  # holds 5 6 7
    assert tree.news((5, 6, 9)) == 1
    assert tree.news((6, 5)) == 2
    tree.add((5, 6), (9, 1, 2))  # 5 6 | 9 1
    tree.add((5,), (4,))  # a prompt that another one begins with
    assert tree.tokens == [5, 6, 7, 9, 1]
    assert tree.depths == [0, 1, 2, 2, 3]
    assert tree.parents == [-1, 0, 1, 1, 3]
    assert tree.news((5, 6, 9)) == 0


def test_a_path_holds_the_node_before_each_answer_token():
    tree = TokenTree()
    tree.add((5, 6), (7, 8))
    tree.add((5, 6), (9, 1, 2))
    tree.add((5,), (4,))
    assert tree.path((5, 6), (7, 8)) == [1, 2]
    assert tree.path((5, 6), (9, 1, 2)) == [1, 3, 4]
    assert tree.path((5,), (4,)) == [0]


def test_a_node_sees_its_ancestors_only():
    tree = TokenTree()
    tree.add((5, 6), (7, 8))
    tree.add((5, 6), (9, 1, 2))
    tree.add((3,), (3,))
    seen = [np.flatnonzero(row).tolist() for row in tree.ancestors()]
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 3, 4], [5]]


def test_packing_keeps_every_pair_once_within_the_size():
    rng = np.random.default_rng(0)
    pairs = {
        (tuple(rng.integers(0, 3, rng.integers(1, 6)).tolist()), (int(rng.integers(9)), 1))
        for _ in range(60)
    }
    packed = list(trees(list(pairs), 20))
    assert sorted(pair for tree in packed for pair in tree.pairs) == sorted(pairs)
    assert len(packed) > 1
    assert max(len(tree.tokens) for tree in packed) <= 20
    (alone,) = trees([((1,) * 30, (2,))], 20)
    assert len(alone.tokens) == 30
