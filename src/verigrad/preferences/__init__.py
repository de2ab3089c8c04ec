"""Preference data: records and their files, miners, imports and exports. No torch here."""
