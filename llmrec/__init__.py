"""Language models for recognising user interest in recommender systems."""

__version__ = "0.1.0"
