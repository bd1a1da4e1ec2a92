"""faiss: exact, and HNSW over float32, SQ8 and RaBitQ codes, which are refined by float32. HNSWm here has 2m links at the
bottom, as in hnswlib. Its HNSW over RaBitQ codes knows L2 only, which ranks unit vectors as the cosine does."""
import faiss
from common import EF, Base, pad


class System(Base):
    CONFIGS = {"flat": dict(key="Flat", grid=["flat"]), "hnsw32": dict(key="HNSW32,Flat"), "hnsw32_sq8_refine": dict(key="HNSW32,SQ8,RFlat"),
               "hnsw32_rabitq4_refine": dict(key="RR{dim},HNSW32,RaBitQ4,RFlat")}
    grid = EF

    def queries(self, Q): return pad(Q, 8) if "SQ" in self.key else Q      # its SQ kernels are scalar unless 8 divides dim

    def build(self, X):
        X, l2 = self.queries(X), self.metric == "l2" or self.metric == "cos" and "RaBitQ" in self.key
        faiss.omp_set_num_threads(self.threads)
        self.ix = faiss.index_factory(X.shape[1], self.key.format(dim=X.shape[1]), faiss.METRIC_L2 if l2 else faiss.METRIC_INNER_PRODUCT)
        if "HNSW" in self.key:
            faiss.ParameterSpace().set_index_parameter(self.ix, "efConstruction", 200)
        self.ix.train(X)
        self.ix.add(X)

    def save(self): faiss.write_index(self.ix, self.dir + "/i")
    def open(self): self.ix = faiss.read_index(self.dir + "/i")

    def set(self, p):
        faiss.omp_set_num_threads(self.threads)
        if p == "flat":
            self.par = faiss.SearchParameters()
            return
        self.par = faiss.SearchParametersHNSW(efSearch=p)
        if self.key.startswith("RR"):
            self.par = faiss.SearchParametersPreTransform(index_params=self.par)
        if self.key.endswith("RFlat"):
            self.par = faiss.IndexRefineSearchParameters(k_factor=max(1, p / 20), base_index_params=self.par)

    def one(self, q, k): return self.ix.search(q[None], k, params=self.par)
    def ids(self, r): return r[1][0]
    def batch(self, Q, k): return self.ix.search(Q, k, params=self.par)
    def batch_ids(self, r): return r[1]
