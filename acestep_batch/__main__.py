"""``python -m acestep_batch``."""

from acestep_batch.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
