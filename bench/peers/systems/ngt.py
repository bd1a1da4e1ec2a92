"""NGT: ONNG (ANNG with 100 edges, then out-degree 10 and in-degree 120, its authors' setting for ann-benchmarks) and plain ANNG.
Its quantized graph (QG) can only be made with command-line tools, which the wheel lacks."""
import shutil
import ngtpy
from common import Base


class System(Base):
    CONFIGS = {"onng": dict(onng=True), "anng": dict(onng=False)}
    grid = [f"{e:.2f}" for e in (-.1, -.05, 0, .02, .04, .06, .08, .1, .12, .15, .2, .25, .3)]
    metrics = ("l2", "cos")

    def build(self, X):
        path = self.dir + ("/anng" if self.onng else "/ix")
        ngtpy.create(path, self.dim, edge_size_for_creation=100 if self.onng else 30, edge_size_for_search=0 if self.onng else 40,
                     distance_type="L2" if self.metric == "l2" else "Normalized Cosine")
        ix = ngtpy.Index(path, log_disabled=True)
        ix.batch_insert(X, num_threads=self.threads)
        ix.save()
        ix.close()
        if self.onng:
            optimizer = ngtpy.Optimizer(log_disabled=True)
            optimizer.set(num_of_outgoings=10, num_of_incomings=120)
            optimizer.set_processing_modes(search_parameter_optimization=False, accuracy_table_generation=False)   # of no use to epsilon
            optimizer.execute(path, self.dir + "/ix")
            shutil.rmtree(path)

    def save(self): pass
    def open(self): self.ix = ngtpy.Index(self.dir + "/ix", read_only=True, log_disabled=True)
    def set(self, p): self.e = float(p)
    def one(self, q, k): return self.ix.search(q, k, self.e, with_distance=False)

    def batch(self, Q, k):
        self.ix.set(epsilon=self.e)
        r = ngtpy.BatchResults()
        self.ix.batch_search(Q, r, k, with_distance=False)
        return r

    def batch_ids(self, r): return r.get_ids()
