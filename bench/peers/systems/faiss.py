"""faiss: exact, HNSW over float32, SQ8 and RaBitQ codes, which are refined by float32, and IVF over PQ (fast scan), RaBitQ (fast scan for one bit)
and SQ8 codes, refined by float32 too, with four times the root of the rows for lists, as its guidelines have it. HNSWm here has 2m links at the
bottom, as in hnswlib. Its HNSW over RaBitQ codes knows L2 only, which ranks unit vectors as the cosine does."""
import math
import faiss
from common import EF, NPROBE, Base, pad

PROBES = [f"{probes},{refine}" for probes in NPROBE for refine in (4, 20)]      # and how many times k is refined


class System(Base):
    CONFIGS = {"flat": dict(key="Flat", grid=["flat"]), "hnsw32": dict(key="HNSW32,Flat"), "hnsw32_sq8_refine": dict(key="HNSW32,SQ8,RFlat"),
               "hnsw32_rabitq4_refine": dict(key="RR{dim},HNSW32,RaBitQ4,RFlat"), "ivf_pqfs": dict(key="IVF{lists},PQ{half}x4fsr,RFlat", grid=PROBES),
               "ivf_rabitqfs": dict(key="RR{dim},IVF{lists},RaBitQfs,RFlat", grid=PROBES), "ivf_rabitq4": dict(key="RR{dim},IVF{lists},RaBitQ4,RFlat", grid=PROBES),
               "ivf_sq8": dict(key="IVF{lists},SQ8,RFlat", grid=PROBES)}
    grid = EF

    def queries(self, Q): return pad(Q, 8) if "SQ" in self.key else Q      # its SQ kernels are scalar unless 8 divides dim

    def build(self, X):
        X, l2 = self.queries(X), self.metric == "l2" or self.metric == "cos" and "RaBitQ" in self.key
        faiss.omp_set_num_threads(self.threads)
        dim, lists = X.shape[1], 1 << round(math.log2(4 * len(X) ** 0.5))
        self.ix = faiss.index_factory(dim, self.key.format(dim=dim, half=(dim + 1) // 2, lists=lists), faiss.METRIC_L2 if l2 else faiss.METRIC_INNER_PRODUCT)
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
        if isinstance(p, str):
            probes, refine = map(int, p.split(","))
            self.par = faiss.SearchParametersIVF(nprobe=probes)
        else:
            probes, refine = None, max(1, p / 20)
            self.par = faiss.SearchParametersHNSW(efSearch=p)
        if self.key.startswith("RR"):
            self.par = faiss.SearchParametersPreTransform(index_params=self.par)
        if self.key.endswith("RFlat"):
            self.par = faiss.IndexRefineSearchParameters(k_factor=refine, base_index_params=self.par)

    def one(self, q, k): return self.ix.search(q[None], k, params=self.par)
    def ids(self, r): return r[1][0]
    def batch(self, Q, k): return self.ix.search(Q, k, params=self.par)
    def batch_ids(self, r): return r[1]
