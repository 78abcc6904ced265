"""Who held coupons for what: the campaigns of the Complete Journey."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from llmrec import fetch
from llmrec.data import Dataset

DAY = 86_400


def coupon_offers(dataset: Dataset, at: int, item_of: pd.Series | None = None) -> sparse.csr_matrix:
    """Return for how many products of each item a household held coupons at one moment.

    A household holds the coupons of every campaign that it was sent and that runs ``at`` that
    moment: started, not ended. (Of the largest campaigns each household got only some of the
    coupons; the data do not say which, so all are counted.)

    Parameters
    ----------
    dataset:
        The Complete Journey, or what `product_types` made of it.
    at:
        Seconds since 1970.
    item_of:
        Product id → item id of ``dataset``; None: they are the same.

    Returns
    -------
    float32 sparse ``(n_users, n_items)``.
    """
    folder = fetch.get("complete-journey")
    names = ("campaigns", "campaign_descriptions", "coupons")
    sent, described, coupons = (pd.read_parquet(folder / f"{name}.parquet") for name in names)
    return offers(dataset, at, sent, described, coupons, item_of)


def offers(
    dataset: Dataset,
    at: int,
    sent: pd.DataFrame,
    described: pd.DataFrame,
    coupons: pd.DataFrame,
    item_of: pd.Series | None = None,
) -> sparse.csr_matrix:
    """Return the matrix of `coupon_offers` from its tables.

    Parameters
    ----------
    sent:
        ``campaign_id, household_id``.
    described:
        ``campaign_id, start_date, end_date``; both days belong to the campaign.
    coupons:
        ``campaign_id, product_id``, one row a coupon and product.
    """
    moment = pd.Timestamp(at, unit="s")
    started = described["start_date"] <= moment
    running = started & (moment < described["end_date"] + pd.Timedelta(DAY, "s"))
    campaigns = described.loc[running, "campaign_id"].to_numpy()
    products = coupons[["campaign_id", "product_id"]].drop_duplicates()
    item = products["product_id"] if item_of is None else products["product_id"].map(item_of)
    holds = _counts(
        sent["campaign_id"], sent["household_id"], campaigns, dataset.user_ids
    ).T.tocsr()
    offered = _counts(products["campaign_id"], item, campaigns, dataset.item_ids)
    return sparse.csr_matrix(holds @ offered, dtype=np.float32)


def _counts(
    rows: pd.Series, columns: pd.Series, row_ids: np.ndarray, column_ids: np.ndarray
) -> sparse.csr_matrix:
    """Count pairs of ids that both are known; others are of campaigns or items not asked for."""
    cells = np.stack(
        [pd.Index(row_ids).get_indexer(rows), pd.Index(column_ids).get_indexer(columns)]
    )
    cells = cells[:, (cells >= 0).all(axis=0)]
    shape = (len(row_ids), len(column_ids))
    return sparse.csr_matrix((np.ones(cells.shape[1]), tuple(cells)), shape)
