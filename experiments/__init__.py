"""Measurements, and the tools that prepare them; run each with ``python -m experiments.KIND.NAME``.

``bench`` measures speed, ``studies`` tests claims, ``tools`` makes artefacts (tables of true
accuracies, teachers, pictures), and ``shared`` holds code that several scripts use. Each claim has
one script. Its table in ``tables`` has the script's name, with ``bench_`` before it for a script of
``bench``. Scripts import from ``shared`` only, never from each other.
"""
