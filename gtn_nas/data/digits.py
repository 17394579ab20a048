"""``digits``, the default data set: the optical digits of UCI, which come with scikit-learn.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998: 1,797 grey images of 8x8 pixels with values 0-16.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from gtn_nas.data.base import RawDataset, Split
from gtn_nas.data.images import resize

LARGEST_VALUE = 16


def load(image_size: int | None) -> RawDataset:
    """Return all digits with values scaled to 0-255; the source publishes no test split."""
    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / LARGEST_VALUE)).astype(np.uint8)
    images = resize(torch.from_numpy(pixels[:, None]), image_size)
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    return RawDataset(Split(images, labels), None, tuple(map(str, bunch.target_names)))
