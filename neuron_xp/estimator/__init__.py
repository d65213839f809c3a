"""The trainer as a scikit-learn estimator: the only room that imports scikit-learn."""
