"""Playing a denoising step by step: HTML, style and script that go into the page. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["SCRIPT", "STYLE", "player"]

STYLE = """
.player { margin-bottom: 14px; } section .grid2 + details { margin-top: 14px; }
.player pre { white-space: pre-wrap; font-size: 13.5px; line-height: 1.7; }
.player .canvas span { border-radius: 4px; padding: 1px 0; color: #16202e;
  background: hsl(calc(230 - 200 * var(--t)) 75% 78%); }
.player .canvas span.hidden { color: transparent; background: var(--line); }
.player .canvas span.now { outline: 2px solid var(--ink); }
.player .controls { display: flex; gap: 10px; align-items: center; flex-wrap: wrap; }
.player input { flex: 1 1 180px; accent-color: var(--after); } .player button { font: inherit; padding: 3px 14px;
  border-radius: 8px; border: 1px solid var(--line); background: var(--code); color: var(--ink); cursor: pointer; }
.player output { font-variant-numeric: tabular-nums; min-width: 9em; }
.ramp { display: inline-block; width: 120px; height: 10px; border-radius: 4px; vertical-align: -1px;
  background: linear-gradient(90deg, hsl(230 75% 78%), hsl(180 75% 78%), hsl(130 75% 78%), hsl(80 75% 78%),
  hsl(30 75% 78%)); }
"""

SCRIPT = """
for (const box of document.querySelectorAll('.player')) {
  const slider = box.querySelector('input'), button = box.querySelector('button');
  const shown = box.querySelector('output'), tokens = box.querySelectorAll('[data-step]');
  let timer = 0;
  function show() {
    const step = Number(slider.value);
    let count = 0;
    for (const token of tokens) {
      const own = Number(token.dataset.step);
      token.classList.toggle('hidden', own > step);
      token.classList.toggle('now', own === step);
      count += own <= step;
    }
    shown.value = 'step ' + step + ' of ' + slider.max + ', ' + count + ' tokens';
  }
  function stop() { clearInterval(timer); timer = 0; button.textContent = 'Play'; }
  slider.addEventListener('input', () => { stop(); show(); });
  button.addEventListener('click', () => {
    if (timer) { stop(); return; }
    if (slider.value === slider.max) slider.value = 0;
    button.textContent = 'Pause';
    show();
    timer = setInterval(() => {
      if (slider.value === slider.max) { stop(); return; }
      slider.value = Number(slider.value) + 1;
      show();
    }, 160);
  });
  show();
}
"""


def player(row: Mapping[str, Any]) -> str:
    """A box for one answer; without the script it shows the finished one, coloured by when each token came."""
    tokens: Sequence[str] = row["tokens"]
    steps: Sequence[int] = row["steps"]
    number = {step: place for place, step in enumerate(sorted({step for step in steps if step >= 0}), 1)}
    last = max(number.values(), default=1)
    spans = "".join(
        _span(token, number[step], last, logprob)
        for token, step, logprob in zip(tokens, steps, row["logprobs"], strict=True)
        if step >= 0
    )
    title = f"{escape(row['task_id'])} <small>{escape(row['setting'])}, {escape(row['status'])}</small>"
    return (
        f'<div class="card player"><h3>{title}</h3><pre>{escape(row["prompt"])}</pre>'
        f'<pre class="canvas">{spans}</pre><div class="controls"><button type="button">Play</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" aria-label="step"><output></output></div></div>'
    )


def _span(token: str, step: int, last: int, logprob: float) -> str:
    text = escape(token).replace("\n", "↵\n")
    share = (step - 1) / max(1, last - 1)
    title = f"step {step} of {last}, log-prob {logprob:.2f}"
    return f'<span data-step="{step}" style="--t:{share:.3f}" title="{title}">{text}</span>'
