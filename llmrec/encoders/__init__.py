"""Texts in, unit vectors out: language models, words, and controls. Introduced in chapter 4."""

from llmrec.encoders.base import CachedEncoder, Encoder
from llmrec.encoders.columns import column_vectors
from llmrec.encoders.controls import RandomEncoder, ShuffledEncoder
from llmrec.encoders.lexical import Bm25Encoder, HashEncoder, TfidfEncoder
from llmrec.encoders.registry import available, get_encoder
from llmrec.encoders.transformer import TransformerEncoder, convert_gguf

__all__ = [
    "Bm25Encoder",
    "CachedEncoder",
    "Encoder",
    "HashEncoder",
    "RandomEncoder",
    "ShuffledEncoder",
    "TfidfEncoder",
    "TransformerEncoder",
    "available",
    "column_vectors",
    "convert_gguf",
    "get_encoder",
]
