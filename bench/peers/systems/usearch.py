"""USearch: HNSW over float32, bfloat16 and int8 storage (its defaults: connectivity 16, expansion_add 128)."""
import numpy as np
from usearch.index import Index
from common import Base


class System(Base):
    CONFIGS = {"f32": dict(dtype="f32", M=16, efc=128), "f32_m32": dict(dtype="f32", M=32, efc=200), "bf16": dict(dtype="bf16", M=16, efc=128),
               "i8": dict(dtype="i8", M=16, efc=128), "i8_m32": dict(dtype="i8", M=32, efc=200)}

    def new(self):
        if self.dtype == "i8" and self.metric != "cos":
            raise ValueError("int8 storage expects vectors in [-1, 1]; only used for cosine")
        metric = {"l2": "l2sq", "ip": "ip", "cos": "cos" if self.dtype == "i8" else "ip"}[self.metric]
        self.ix = Index(ndim=self.dim, metric=metric, dtype=self.dtype, connectivity=self.M, expansion_add=self.efc)

    def build(self, X):
        self.new()
        self.ix.add(np.arange(len(X)), X, threads=self.threads, copy=True)

    def save(self): self.ix.save(self.dir + "/i")

    def open(self):
        self.new()
        self.ix.load(self.dir + "/i")

    def set(self, p): self.ix.expansion_search = p
    def one(self, q, k): return self.ix.search(q, k, threads=1)
    def ids(self, r): return r.keys
    def batch(self, Q, k): return self.ix.search(Q, k, threads=self.threads)
    def batch_ids(self, r): return r.keys
