"""The contact sheet of a run: one page that plays, compares and picks its songs, and what else is made of records."""
