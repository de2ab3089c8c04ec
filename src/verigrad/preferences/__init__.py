"""Preference data: records and their files, miners, imports and exports. No torch here."""

from verigrad.preferences.records import Pair, Ranking, Rated, Record, read_records, write_records

__all__ = ["Pair", "Ranking", "Rated", "Record", "read_records", "write_records"]
