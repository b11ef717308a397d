"""Search: try settings of a recipe, and confirm the best ones on splits that did not choose them.

study.py      the folder of a study: what was tried, and with what result
sampling.py   Optuna: which settings to try next
trying.py     train trials, stop hopeless ones, confirm the winner
summary.py    the best settings, their uncertainty, the importance of each setting
"""
