"""What a region's plates look like, and decoding that keeps to it.

Only a hint: the raw reads are what counts, because vanity plates and plates
from elsewhere follow no pattern.
"""

from __future__ import annotations

import numpy as np

from common import CLASSES

PATTERNS: dict[str, tuple[str, ...]] = {
    "br": ("LLLDDDD", "LLLDLDD"),
    "eu": ("LLDDDLL", "LLDDDDL", "DLDDDDD", "LLDDDDD", "LLLDDDD", "LLLDD", "LLLDDD", "LLLLDDD", "LLLDDLL", "LLDDLLL",
           "LLDD", "LLLD", "LLLLDD", "LDDDDDD", "LDDDDLL"),
    "us": ("LLDLDL", "LLLDDDD", "DLLLDDD", "LLDLDDD", "LLLDDD", "DDDLLL", "LDDDDDD", "DDDDDDD", "LLDDDD", "DDDDDLD",
           "DLDDDDD"),
}
_LETTERS = np.array([c.isalpha() for c in CLASSES])
_DIGITS = np.array([c.isdigit() for c in CLASSES])


def best_for(logp: np.ndarray, pattern: str) -> tuple[float, str]:
    """The likeliest path whose text follows the pattern (Viterbi over blanks and characters)."""
    n = len(pattern)
    letters = np.where(_LETTERS, logp, -1e9)
    digits = np.where(_DIGITS, logp, -1e9)
    # State 2i is the blank before character i, 2i+1 is character i with its best class so far.
    score = np.full(2 * n + 1, -1e9)
    text: list[str] = [""] * (2 * n + 1)
    last = [0] * (2 * n + 1)
    score[0] = 0.0
    for t in range(len(logp)):
        new, new_text, new_last = np.full(2 * n + 1, -1e9), [""] * (2 * n + 1), [0] * (2 * n + 1)
        for s in range(2 * n + 1):
            if s % 2 == 0:
                for p in (s, s - 1):
                    if p >= 0 and score[p] + logp[t, 0] > new[s]:
                        new[s], new_text[s], new_last[s] = score[p] + logp[t, 0], text[p], 0
            else:
                row = letters[t] if pattern[s // 2] == "L" else digits[t]
                stay = score[s] + row[last[s]] if last[s] else -1e9
                new[s], new_text[s], new_last[s] = stay, text[s], last[s]
                for p in (s - 1, s - 2):
                    if p < 0 or score[p] < -1e8:
                        continue
                    r = row.copy()
                    if p == s - 2:
                        r[last[p]] = -1e9  # the same character twice needs a blank between
                    c = int(r.argmax())
                    if score[p] + r[c] > new[s]:
                        new[s], new_text[s], new_last[s] = score[p] + r[c], text[p] + CLASSES[c], c
        score, text, last = new, new_text, new_last
    k = 2 * n if score[2 * n] > score[2 * n - 1] else 2 * n - 1
    return float(score[k]), text[k]


def constrained(logp: np.ndarray, region: str, penalty: float = 6.0) -> str:
    """The best text of the region's patterns, unless the free reading is much likelier."""
    free = float(logp.max(1).sum())
    best = logp.argmax(1)
    raw = "".join(CLASSES[c] for i, c in enumerate(best) if c and (i == 0 or best[i - 1] != c))
    score, text = max(best_for(logp, p) for p in PATTERNS[region])
    return text if score > free - penalty else raw
