#!/usr/bin/env bash
# Makes docs/example_run again, the run that tests/test_example_run.py verifies: needed whenever the weights of the
# embedded model, or what a record holds, have changed. Linux only, and root: the songs are made on a machine that
# is called studio, in /tmp/songs, so that records name nobody's own.
#     docs/make_example_run.sh            PYTHON=... names another interpreter
set -euo pipefail
export REPOSITORY PYTHON=${PYTHON:-python}
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PYTHONPATH=$REPOSITORY

songs=/tmp/songs
if [ -e "$songs" ]; then
  echo "$songs is there: move it away" >&2
  exit 2
fi
trap 'rm -rf "$songs"' EXIT
mkdir "$songs"
cat > "$songs/songs.yaml" <<'END'
- {id: calm, seed: 1, prompt: "ambient, calm, piano, warm pad, no drums, slow, 72 bpm, F major"}
- {id: loud, seed: 2, prompt: "rock, energetic, guitar, bass, drums, fast, 161 bpm, E minor", lyrics: "[inst]"}
END
unshare -u bash -euc '
  hostname studio
  cd /tmp/songs
  "$PYTHON" -m acestep_batch manifest.path=songs.yaml strict=true audio_duration=1 infer_step=8 lint=off \
    output.name=example model=embedded hw=cpu
'
rm -rf "$songs"/outputs/example/v0001/.locks "$REPOSITORY/docs/example_run"
cp -r "$songs/outputs/example/v0001" "$REPOSITORY/docs/example_run"
