#!/bin/bash
# One manifest on eight GPUs: every task of the array makes every eighth micro-batch of the same run.
# Submit it again after a failure or the time limit: what is done is left alone.
#SBATCH --job-name=songs
#SBATCH --array=1-8
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120   # two minutes before the limit: what is rendered is written, exit code 143

exec python -m acestep_batch \
  manifest.path=songs.csv \
  model=v1 hw=a100 +preset=precise \
  output.root=outputs \
  shard="${SLURM_ARRAY_TASK_ID}/${SLURM_ARRAY_TASK_COUNT}"
