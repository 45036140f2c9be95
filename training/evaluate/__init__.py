"""What generated clips are scored by: probes trained on real clips, tempo, key, seeds, mel error; numpy and scipy."""
