"""What a run leaves on disk: folders, names, audio files, tags and records."""
