"""VSAG: HGraph over quantized codes with exact reordering. Its Python binding has no batched search.
Known to be of no use under cosine: sq4u_fp32 (recall 0.12)."""
import json
import numpy as np
import pyvsag
from common import Base

pyvsag.set_logger_off()


class System(Base):
    CONFIGS = {"sq8u_fp32": dict(base="sq8_uniform"), "sq4u_fp32": dict(base="sq4_uniform"), "rabitq_fp32": dict(base="rabitq"),
               "fp32": dict(base="fp32", reorder=False), "sq8u_fp32_d64": dict(base="sq8_uniform", degree=64)}
    reorder, degree, efc = True, 32, 400

    def new(self):
        self.ix = pyvsag.Index("hgraph", json.dumps({
            "dtype": "float32", "metric_type": "l2" if self.metric == "l2" else "ip", "dim": self.dim,
            "index_param": {"base_quantization_type": self.base, "use_reorder": self.reorder, "precise_quantization_type": "fp32",
                            "max_degree": self.degree, "ef_construction": self.efc, "build_thread_count": self.threads}}))

    def build(self, X):
        self.new()
        self.ix.build(vectors=X.ravel(), ids=np.arange(len(X), dtype=np.int64), num_elements=len(X), dim=self.dim)

    def save(self): self.ix.save(self.dir + "/i")

    def open(self):
        self.new()
        self.ix.load(self.dir + "/i")

    def set(self, p): self.par = json.dumps({"hgraph": {"ef_search": p}})
    def one(self, q, k): return self.ix.knn_search(vector=q, k=k, parameters=self.par)
    def ids(self, r): return r[0]
