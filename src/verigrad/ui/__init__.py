"""Labelling: people (or models) compare programs on a local page; their judgements become preference pairs."""

from verigrad.preferences.model_judge import Opinion
from verigrad.ui.agreement import cohen_kappa, krippendorff_alpha, pair_agreements, raw_agreement
from verigrad.ui.export import Export, export_pairs
from verigrad.ui.folder import open_store, read_store
from verigrad.ui.judge import Annotator, EndpointJudge, Simulated, annotate
from verigrad.ui.store import Store

__all__ = [
    "Annotator",
    "EndpointJudge",
    "Export",
    "Opinion",
    "Simulated",
    "Store",
    "annotate",
    "cohen_kappa",
    "export_pairs",
    "krippendorff_alpha",
    "open_store",
    "pair_agreements",
    "raw_agreement",
    "read_store",
]
