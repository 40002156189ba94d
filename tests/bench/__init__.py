"""Measures Undercroft against the caches people use today, and says which bars hold.

Run it as `python -m bench` from the folder `tests`, in an environment with `requirements.txt` installed.
"""
