"""sift-128: real SIFT descriptors of photographs and artwork in Debian packages (dl/deb/x/PACKAGE). Euclidean, 0..255.
Images are grouped by work (all sizes of one wallpaper, all frames of one video are one group); every group is in one
split only, so queries come from images that are not in the base. Split by a stable hash of the group:
6 % are for queries."""
import json, os, re, sys, time
import numpy as np, cv2
from common import DL, data_dir, hash01, save_set

cv2.setNumThreads(1)
X = os.path.join(DL, "deb/x")
PK = ("gnome-backgrounds lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 mate-backgrounds plasma-workspace-wallpapers "
      "ukui-wallpapers xplanet-images tuxpaint-stamps-default stellarium-data lxqt-themes hugin-data digikam-data visp-images-data").split()
CAP, SIDE = 9000, 2400


def images():
    best = {}
    for pk in PK:
        for r, _, fs in os.walk(os.path.join(X, pk)):
            for f in sorted(fs):
                p = os.path.join(r, f)
                if not f.lower().endswith((".jpg", ".jpeg", ".png", ".webp", ".pgm", ".ppm")) or os.path.islink(p) or os.path.getsize(p) < 15000:
                    continue
                rel = os.path.relpath(p, X)
                if re.search(r"cartoon|symbols/|icons?/|/doc/|flags|screenshots?", rel):
                    continue
                if pk.startswith("plasma"):
                    g = pk + "/" + rel.split("/wallpapers/")[1].split("/")[0]
                elif pk.startswith("visp"):
                    g = os.path.dirname(rel)
                    m = re.search(r"(\d+)\.\w+$", f)
                    if m and int(m.group(1)) % 12:
                        continue
                else:
                    g = os.path.dirname(rel) + "/" + re.sub(r"(_?\d+x\d+|-[dl]|Light|Dark)?\.\w+$", "", f)
                if not pk.startswith("visp") and g in best and os.path.getsize(best[g][0]) >= os.path.getsize(p):
                    continue
                best[g if not pk.startswith("visp") else rel] = (p, g, rel)
    return sorted(best.values(), key=lambda t: t[2])


def main():
    sift = cv2.SIFT_create(contrastThreshold=0.025)
    D, I, names, t0 = [], [], [], time.time()
    for p, g, rel in images():
        im = cv2.imread(p, cv2.IMREAD_GRAYSCALE)
        if im is None or min(im.shape) < 100:
            continue
        s = SIDE / max(im.shape)
        if s < 1:
            im = cv2.resize(im, None, fx=s, fy=s, interpolation=cv2.INTER_AREA)
        _, d = sift.detectAndCompute(im, None)
        if d is None or len(d) < 30:
            continue
        if len(d) > CAP:
            d = d[np.random.default_rng(len(names)).permutation(len(d))[:CAP]]
        D.append(np.rint(d).astype(np.uint8))
        I.append(np.full(len(d), len(names), np.int32))
        names.append(dict(file=rel.split("/usr/share/")[-1], package=rel.split("/")[0], group=g, n=len(d)))
        if len(names) % 50 == 0:
            print(len(names), sum(map(len, D)), "%.0fs" % (time.time() - t0), flush=True)
    d, im = np.concatenate(D), np.concatenate(I)
    _, first = np.unique(np.ascontiguousarray(d).view("V128").ravel(), return_index=True)
    print("images", len(names), "descriptors", len(d), "unique", len(first))
    first = first[np.random.default_rng(1).permutation(len(first))]
    d, im = d[first], im[first]
    h = np.array([hash01(n["group"], "sift") for n in names])[im]
    query, base = np.where(h < 0.06)[0][:10_000], np.where(h >= 0.06)[0]
    with open(os.path.join(data_dir("sift-128"), "images.json"), "w") as f:
        json.dump(names, f, indent=0)
    save_set("sift-128", d[base], d[query], "l2",
             f"# sift-128\n\nSIFT descriptors (OpenCV SIFT, contrastThreshold 0.025, at most {CAP} a picture, longest side at most {SIDE}) of {len(names)} photographs and pictures "
             "in Debian packages: " + ", ".join(PK) + ".\nValues 0..255 (whole numbers). Exact duplicates removed. Queries come from pictures that are not in the base. "
             "images.json lists the pictures.\n"
             "Licence: the pictures' own (CC-BY-SA, GPL, CC0 and the like; see each package's copyright file); the descriptors are measurements of them.\n",
             extra=dict(licence="pictures: see the Debian packages' copyright files", origin="Debian packages " + ", ".join(PK)))


if __name__ == "__main__":
    main()
