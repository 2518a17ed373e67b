"""Trains faiss k-means once and says what it cost.

Arguments: points file (little-endian f32), dimension, lists, iterations, seed, threads, file for the centroids.
Prints the CPU seconds (user and system) of the training alone.
"""

import resource
import sys

import faiss
import numpy


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    points_file, dimension, lists, iterations, seed, threads, centroids_file = sys.argv[1:]
    points = numpy.fromfile(points_file, dtype="<f4").reshape(-1, int(dimension))
    faiss.omp_set_num_threads(int(threads))
    kmeans = faiss.Kmeans(
        int(dimension),
        int(lists),
        niter=int(iterations),
        seed=int(seed),
        max_points_per_centroid=len(points),  # all points are used
    )
    before = cpu_seconds()
    kmeans.train(points)
    print(cpu_seconds() - before)
    kmeans.centroids.astype("<f4").tofile(centroids_file)


main()
