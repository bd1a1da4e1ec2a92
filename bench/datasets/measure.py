"""Difficulty of each set: median LID (MLE over the 100 nearest), relative contrast, recall@10 of hnswlib M16 efConstruction 200 ef 64.
Usage: measure.py DIR [MAX_BASE]"""
import json, os, sys, time
import numpy as np, hnswlib
from common import exact_gt, lid_mle, normalize

d = sys.argv[1]
cap = int(sys.argv[2]) if len(sys.argv) > 2 else 10 ** 9
with open(os.path.join(d, "manifest.json")) as f:
    m = json.load(f)
b = np.load(os.path.join(d, "base.npy"), mmap_mode="r")[:cap].astype(np.float32)
q = np.load(os.path.join(d, "query.npy"), mmap_mode="r")[:1000].astype(np.float32)
gt, dist = exact_gt(b, q, m["metric"])
r = np.random.default_rng(0).integers(0, len(b), (len(q), 50))
if m["metric"] == "l2":
    far = np.sqrt(((b[r] - q[:, None]) ** 2).sum(2)).mean()
    near = np.sqrt(np.maximum(dist[:, 9], 0)).mean()
else:
    bn, qn = normalize(b), normalize(q)
    far = np.sqrt(np.maximum(2 - 2 * np.einsum("qkd,qd->qk", bn[r], qn), 0)).mean()
    near = np.sqrt(np.maximum(2 + 2 * dist[:, 9], 0)).mean()
t = time.time()
ix = hnswlib.Index("l2" if m["metric"] == "l2" else "cosine", b.shape[1])
ix.init_index(len(b), M=16, ef_construction=200, random_seed=1)
ix.set_num_threads(1)
ix.add_items(b, num_threads=1)
tb = time.time() - t
out = {}
for ef in (64, 128, 256):
    ix.set_ef(ef)
    t = time.time()
    l, _ = ix.knn_query(q, 10, num_threads=1)
    out[ef] = (round(float(np.mean([len(set(a) & set(g[:10])) / 10 for a, g in zip(l, gt)])), 4), round(len(q) / (time.time() - t)))
print(json.dumps(dict(set=os.path.basename(os.path.normpath(d)), n=len(b), dim=int(b.shape[1]), lid=round(lid_mle(dist, m["metric"]), 1), contrast=round(float(far / near), 2),
                      recall10={k: v[0] for k, v in out.items()}, build_s=round(tb))), flush=True)
