"""Splits a table five times and judges scikit-learn's classifiers on the rows held back.

sklearn_tables.py TABLE FOLDER: the first column of TABLE is an id, the last one the class. Writes train-N.csv and
test-N.csv (both with the class) for N from 0 to 4 into FOLDER, and prints one line per split and classifier:
split, name, balanced accuracy, CPU seconds of fit and predict.
"""

import csv
import sys
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

table, folder = sys.argv[1:3]
with open(table, newline="") as file:
    head, *rows = csv.reader(file)
numbers = np.array([[float(cell) for cell in row[1:-1]] for row in rows])
classes = np.array([row[-1] for row in rows])

for split, (train, test) in enumerate(StratifiedShuffleSplit(5, test_size=0.3, random_state=1).split(numbers, classes)):
    for name, part in (("train", train), ("test", test)):
        with open(f"{folder}/{name}-{split}.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([head] + [rows[n] for n in part])
    for name, classifier in (
        ("HistGradientBoosting", HistGradientBoostingClassifier(random_state=split)),
        ("LogisticRegression", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
    ):
        start = time.process_time()
        said = classifier.fit(numbers[train], classes[train]).predict(numbers[test])
        spent = time.process_time() - start
        print(split, name, balanced_accuracy_score(classes[test], said), spent)
