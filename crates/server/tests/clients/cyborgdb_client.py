"""Drives a running server with the vendor's own Python client.

cyborgdb_client.py URL ROOT_KEY
"""

import secrets
import sys
import time

import cyborgdb
import numpy as np

DIMENSION = 32
COUNT = 10_000
LONG = 300  # seconds; more than any training here takes


def clustered(rng, count):
    centres = rng.uniform(0, 10, (100, DIMENSION))
    points = centres[rng.integers(0, len(centres), count)] + rng.normal(0, 0.5, (count, DIMENSION))
    return points.astype(np.float32)


def wait_until_trained(index):
    end = time.monotonic() + LONG
    while index.is_training():
        assert time.monotonic() < end, "the training takes too long"
        time.sleep(0.05)


def recall(index, points, queries):
    exact = ((points[None, :, :] - queries[:, None, :]) ** 2).sum(axis=2)
    exact = np.argsort(exact, axis=1)[:, :10]
    found = index.query(queries, top_k=10, include=["distance"])
    hits = sum(len({int(row["id"]) for row in rows} & set(near)) for rows, near in zip(found, exact.tolist()))
    for rows in found:
        distances = [row["distance"] for row in rows]
        assert distances == sorted(distances) and len(rows) == 10, rows
    return hits / exact.size


def refused(error, status, call):
    try:
        call()
    except error as refusal:
        assert refusal.status_code == status, (refusal.status_code, refusal)
        return refusal.detail
    raise AssertionError(f"{call} should have raised {error}")


def main(url, root_key):
    rng = np.random.default_rng(7)
    client = cyborgdb.Client(url, root_key)
    assert client.get_health() == {"status": "healthy", "api_version": "v1", "version": "0.18.0"}
    key = client.generate_key()

    index = client.create_index("python/ä 1", key, metric="euclidean")
    assert client.list_indexes() == ["python/ä 1"]
    assert (index.dimension, index.n_lists, index.is_trained(), index.is_training()) == (0, 1, False, False)

    # Half of it, then past the threshold: the server trains by itself.
    points = clustered(rng, COUNT)
    ids = [str(i) for i in range(COUNT)]
    index.upsert(ids[:6_000], points[:6_000])
    assert not index.is_training() and (index.dimension, index.metric) == (DIMENSION, "euclidean")
    assert recall(index, points[:6_000], clustered(rng, 5)) == 1.0, "untrained search is exact"
    index.upsert(ids[6_000:], points[6_000:])
    wait_until_trained(index)
    assert index.is_trained() and index.n_lists == 128, index.n_lists
    queries = points[rng.integers(0, COUNT, 100)] + np.float32(0.01)
    automatic = recall(index, points, queries)
    assert automatic >= 0.95, automatic

    # By hand, with another number of lists, and with all that the client can say.
    index.train(n_lists=64)
    assert (index.is_trained(), index.n_lists, index.is_training()) == (True, 64, False)
    by_hand = recall(index, points, queries)
    assert by_hand >= 0.95, by_hand
    index.train(n_lists=32, batch_size=512, max_iters=10, tolerance=1e-3, max_memory=500)
    assert index.n_lists == 32
    index.train(n_lists=5_001)
    assert index.n_lists == 32, "too many lists change nothing"

    # Items with contents and metadata, filters, get and delete.
    index.upsert([
        {"id": "a", "vector": points[0].tolist(), "contents": "text", "metadata": {"colour": "red", "n": 1}},
        {"id": "b", "vector": points[1].tolist(), "metadata": {"colour": "blue"}},
    ])
    (row,) = index.query(points[1].tolist(), top_k=1, filters={"colour": "red"}, include=["metadata"])
    assert row["id"] == "a" and row["metadata"] == {"colour": "red", "n": 1}, row
    (item,) = index.get(["a"], include=["vector", "contents", "metadata"])
    assert np.array_equal(np.asarray(item["vector"], dtype=np.float32), points[0]), item
    assert item["contents"] in ("text", b"text"), item
    index.delete(["a", "b", "0"])
    assert index.get(["a", "b", "0"]) == []
    assert len(index.list_ids()) == COUNT - 1
    near = index.query(points[0].tolist(), top_k=5)
    assert "0" not in [row["id"] for row in near], near

    # A second handle, wrong keys of both sorts, and what is not there.
    assert client.load_index("python/ä 1", key).n_lists == 32
    refused(cyborgdb.AuthenticationError, 401, lambda: client.load_index("python/ä 1", secrets.token_bytes(32)))
    refused(cyborgdb.AuthenticationError, 401, lambda: cyborgdb.Client(url, "wrong").list_indexes())
    detail = refused(cyborgdb.AuthenticationError, 401, lambda: cyborgdb.Client(url).list_indexes())
    assert detail == "API Key is required", detail
    refused(cyborgdb.NotFoundError, 404, lambda: client.load_index("unknown", key))
    refused(cyborgdb.ValidationError, 400, lambda: client.create_index("python/ä 1", key))
    refused(cyborgdb.ValidationError, 400, lambda: index.query([1.0, 2.0]))

    index.delete_index()
    refused(cyborgdb.NotFoundError, 404, index.is_trained)
    again = client.create_index("python/ä 1", key, dimension=DIMENSION)
    assert (again.n_lists, again.is_trained(), again.dimension) == (1, False, DIMENSION)
    assert again.query(points[0].tolist()) == [] and again.list_ids() == []
    again.train()
    assert not again.is_trained(), "an empty index is left as it is"
    again.delete_index()
    assert client.list_indexes() == []
    print(f"cyborgdb {cyborgdb.__version__}: recall@10 {automatic:.3f} after the automatic training, {by_hand:.3f} by hand")


if __name__ == "__main__":
    main(*sys.argv[1:])
