"""hnswlib: HNSW over float32 (its README: M 12-48, ef_construction 100-2000)."""
import hnswlib
import numpy as np
from common import Base


class System(Base):
    CONFIGS = {"m16": dict(M=16, efc=200), "m32": dict(M=32, efc=200)}

    def new(self):
        self.ix = hnswlib.Index("l2" if self.metric == "l2" else "ip", self.dim)

    def build(self, X):
        self.new()
        self.ix.init_index(len(X), M=self.M, ef_construction=self.efc, random_seed=1)
        self.ix.add_items(X, np.arange(len(X)), num_threads=self.threads)

    def save(self): self.ix.save_index(self.dir + "/i")

    def open(self):
        self.new()
        self.ix.load_index(self.dir + "/i", max_elements=self.n)

    def set(self, p): self.ix.set_ef(p)
    def one(self, q, k): return self.ix.knn_query(q, k, num_threads=1)
    def ids(self, r): return r[0][0]
    def batch(self, Q, k): return self.ix.knn_query(Q, k, num_threads=self.threads)
    def batch_ids(self, r): return r[0]
