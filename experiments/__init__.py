"""What is measured, and what is made for it; run each with ``python -m experiments.KIND.NAME``.

``bench`` measures speed, ``studies`` tests claims, ``tools`` makes what is kept (tables of truth,
teachers, pictures), and ``shared`` holds what several of them need. Each claim has one script, and
its table in ``tables`` has the script's name; that of a bench begins with ``bench_``. Scripts
import from ``shared`` only, never from each other.
"""
