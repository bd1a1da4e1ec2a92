"""fashion-mnist-784: Debian package dataset-fashion-mnist (dpkg-deb -x into dl/deb/x). Euclidean, pixel values 0..255."""
import gzip, os
import numpy as np
from common import DL, save_set

D = os.path.join(DL, "deb/x/dataset-fashion-mnist/usr/share/dataset-fashion-mnist")
LIC = "MIT (Zalando SE 2017)"


def find(n):
    for r, _, fs in os.walk(os.path.join(DL, "deb/x/dataset-fashion-mnist")):
        for f in fs:
            if f.startswith(n):
                return os.path.join(r, f)


def idx(p, off, dim):
    b = (gzip.open if p.endswith("gz") else open)(p, "rb").read()
    a = np.frombuffer(b, np.uint8, offset=off)
    return a.reshape(-1, dim) if dim > 1 else a


x, y = idx(find("train-images"), 16, 784), idx(find("train-labels"), 8, 1)
q = idx(find("t10k-images"), 16, 784)
N = "t-shirt trouser pullover dress coat sandal shirt sneaker bag boot".split()
meta = [dict(label=int(a), name=N[a], ink=int((b > 0).sum()), mean=round(float(b.mean()), 2)) for a, b in zip(y, x)]
save_set("fashion-mnist-784", x, q, "l2", f"# fashion-mnist-784\n\nFashion-MNIST train images as base (60k), test images as queries (10k); pixels 0..255. "
         f"Debian package dataset-fashion-mnist. {LIC}.\nmeta.jsonl: class label and name, number of inked pixels, mean grey.\n", meta=meta,
         extra=dict(licence=LIC, origin="Debian package dataset-fashion-mnist"))
