"""Tokens and lines: alignment against a character-by-character reference, weights by hand."""

import math
import random
from difflib import SequenceMatcher

import pytest
import torch

from verigrad.algorithms.shaping import (
    critic_weight,
    diff_span,
    error_lines,
    executed_lines,
    on_lines,
    piece_offsets,
    token_lines,
)

NAN = float("nan")
close = torch.testing.assert_close

COMPLETION = (
    "Sure! Ünïcode 🙂:\n```python\ndef f(x):\r\n    # 🙂 café\n"
    "    if x:\n\n        return 'a\x0cb'\n    return 0\n```\nDone"
)
CODE_START = COMPLETION.index("def")
CODE_END = COMPLETION.index("```\nDone")


def random_pieces(data, seed):
    """Cuts of a byte string into tokens of 0 to 5 bytes, through the middle of characters."""
    rng, pieces = random.Random(seed), []
    while data:
        size = rng.randint(0, 5)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def slow_offsets(pieces):
    """Of each token the characters that any of its bytes belongs to, by listing every byte's character."""
    text = b"".join(pieces).decode()
    owner = [number for number, character in enumerate(text) for _ in character.encode()]
    spans, at = [], 0
    for piece in pieces:
        own = owner[at : at + len(piece)]
        at += len(piece)
        spans.append((own[0], own[-1] + 1) if own else None)
    return spans


@pytest.mark.parametrize("seed", range(8))
def test_offsets_of_byte_tokens_that_cut_through_characters(seed):
    pieces = random_pieces(COMPLETION.encode(), seed)
    for got, wanted in zip(piece_offsets(pieces), slow_offsets(pieces), strict=True):
        assert got == wanted or (wanted is None and got[0] == got[1])


def test_offsets_where_the_bytes_are_no_text():
    """A cut-off character at the end is one replacement character; so is a stray byte in the middle."""
    pieces = [b"a", b"\xff", b"b\xf0\x9f"]
    spans = piece_offsets(pieces)
    assert spans == [(0, 1), (1, 2), (2, 4)]
    assert len(b"".join(pieces).decode(errors="replace")) == 4


def lines_of_characters(text, start, end):
    """Line of code of each character, 0 outside, walking the text; a line ends with \\n, \\r or \\r\\n."""
    line, numbers = 1, []
    for position, character in enumerate(text):
        if not start <= position < end:
            numbers.append(0)
            continue
        numbers.append(line)
        if character == "\n" or (character == "\r" and text[position + 1 : position + 2] != "\n"):
            line += 1
    return numbers


@pytest.mark.parametrize("seed", range(8))
def test_token_lines_against_the_lines_of_characters(seed):
    spans = piece_offsets(random_pieces(COMPLETION.encode(), seed))
    numbers = lines_of_characters(COMPLETION, CODE_START, CODE_END)
    got = token_lines(COMPLETION, spans, code_start=CODE_START, code_end=CODE_END)
    for (start, end), pair in zip(spans, got.tolist(), strict=True):
        touched = [number for number in numbers[start:end] if number]
        assert pair == ([min(touched), max(touched)] if touched else [0, 0])


def test_lines_are_counted_as_python_counts_them():
    """The form feed inside a string ends no line for Python, though it does for str.splitlines."""
    code = COMPLETION[CODE_START:CODE_END]
    offsets = [(CODE_START + code.index("return 0"), CODE_START + code.index("return 0") + 6)]
    (first, last) = token_lines(COMPLETION, offsets, code_start=CODE_START, code_end=CODE_END)[0].tolist()
    assert first == last == 6
    assert compile(code, "code", "exec") and code.splitlines()[first - 1].strip() != "return 0"


def test_a_line_that_repeats_is_not_mistaken_for_its_copy():
    text = "x = 1\nx = 1\nx = 1\n"
    lines = token_lines(text, [(0, 6), (6, 12), (12, 18)]).unsqueeze(0)
    assert lines.tolist() == [[[1, 1], [2, 2], [3, 3]]]
    rewards = error_lines(lines, torch.ones(1, 3).bool(), [2], rescale=False)
    close(rewards, torch.tensor([[0.0, -0.3, 0.0]]))


def test_what_lies_outside_the_text_is_refused():
    with pytest.raises(ValueError, match="token 0 spans 0 to 4"):
        token_lines("abc", [(0, 4)])
    with pytest.raises(ValueError, match="code lies at 2 to 9"):
        token_lines("abc", [], code_start=2, code_end=9)


@pytest.mark.parametrize("seed", range(5))
def test_on_lines_against_loops(seed):
    rng = random.Random(seed)
    table = [[sorted((rng.randint(0, 6), rng.randint(0, 6))) for _ in range(9)] for _ in range(4)]
    table = [[[0, 0] if pair[0] == 0 else pair for pair in row] for row in table]
    chosen = [{rng.randint(-1, 9) for _ in range(rng.randint(0, 3))} for _ in range(4)]
    wanted = [
        [first > 0 and any(first <= line <= last for line in lines) for first, last in row]
        for row, lines in zip(table, chosen, strict=True)
    ]
    assert on_lines(torch.tensor(table), chosen).tolist() == wanted


LINES = torch.tensor([[[1, 1], [2, 2], [2, 3], [3, 3], [0, 0], [0, 0]]])
MASK = torch.tensor([[True, True, True, True, True, False]])


def test_error_lines_by_hand():
    """Five tokens count. Line 3 blames two: -0.3 * 5 / 2. The whole program has four: -0.3 * 5 / 4."""
    for line, wanted in [
        (3, [0.0, 0.0, -0.75, -0.75, 0.0, 0.0]),
        ("whole", [-0.375] * 4 + [0.0, 0.0]),
        (None, [0.0] * 6),
        (9, [0.0] * 6),
    ]:
        close(error_lines(LINES, MASK, [line]), torch.tensor([wanted]))
    close(error_lines(LINES, MASK, [1], penalty=-1.0, rescale=False), torch.tensor([[-1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]))


def test_rescaled_error_lines_give_every_failed_row_the_same_total():
    lines, mask = LINES.repeat(3, 1, 1), MASK.repeat(3, 1)
    totals = error_lines(lines, mask, [1, 3, "whole"]).sum(dim=1)
    close(totals, torch.full((3,), -0.3 * 5))


def test_executed_lines_by_hand():
    """Lines 1 and 3 ran: only the token of line 2 alone is masked; prose keeps its weight."""
    assert executed_lines(LINES, MASK, [{1, 3}]).tolist() == [[1, 0, 1, 1, 1, 0]]
    assert executed_lines(LINES, MASK, [{1}]).tolist() == [[1, 0, 0, 0, 1, 0]]
    assert executed_lines(LINES, MASK, [{1}], executable=[{1, 3}]).tolist() == [[1, 1, 0, 0, 1, 0]]
    assert executed_lines(LINES, MASK, [{1}], executable=[None]).tolist() == [[1, 0, 0, 0, 1, 0]]


def test_rows_whose_lines_are_not_known_or_not_to_be_believed_mask_nothing():
    everything = [[1, 1, 1, 1, 1, 0]]
    assert executed_lines(LINES, MASK, [None]).tolist() == everything
    assert executed_lines(LINES, MASK, [set()]).tolist() == everything
    # One of four code tokens is left: 0.25.
    assert executed_lines(LINES, MASK, [{1}], min_share=0.26).tolist() == everything
    assert executed_lines(LINES, MASK, [{1}], min_share=0.25).tolist() == [[1, 0, 0, 0, 1, 0]]


def test_focused_dpo_by_hand_and_without_overlap():
    """a b c d e against a b X e: middle c d and X. a a against a a a: the prefix takes two, the rest is one more a."""
    chosen, rejected = torch.tensor([[0, 1, 2, 3, 4, 5]]), torch.tensor([[9, 1, 2, 7, 5]])
    masks = torch.tensor([[False, True, True, True, True, True]]), torch.tensor([[False, True, True, True, True]])
    first, second = diff_span(chosen, rejected, *masks, inside=3.0, outside=0.5)
    assert first.tolist() == [[0.0, 0.5, 0.5, 3.0, 3.0, 0.5]] and second.tolist() == [[0.0, 0.5, 0.5, 3.0, 0.5]]
    same = torch.ones(1, 2).long(), torch.ones(1, 3).long(), torch.ones(1, 2).bool(), torch.ones(1, 3).bool()
    first, second = diff_span(*same)
    assert first.tolist() == [[1.0, 1.0]] and second.tolist() == [[1.0, 1.0, 2.0]]


@pytest.mark.parametrize("seed", range(4))
def test_diff_span_against_its_definition(seed):
    """The middle is what remains when the ends are stripped one by one; edits are what a diff does not match."""
    rng = random.Random(seed)
    rows = [[[rng.randint(0, 2) for _ in range(rng.randint(1, 7))] for _ in range(2)] for _ in range(5)]

    def padded(side):
        table = torch.full((5, 7), -1)
        for row, pair in enumerate(rows):
            table[row, : len(pair[side])] = torch.tensor(pair[side])
        return table

    chosen, rejected = padded(0), padded(1)
    masks = chosen >= 0, rejected >= 0
    middle, edits = (diff_span(chosen, rejected, *masks, spans=spans) for spans in ("middle", "edits"))
    for row, (a, b) in enumerate(rows):
        x, y, front, back = list(a), list(b), 0, 0
        while x and y and x[0] == y[0]:
            x, y, front = x[1:], y[1:], front + 1
        while x and y and x[-1] == y[-1]:
            x, y, back = x[:-1], y[:-1], back + 1
        for weights, own, mid in ((middle[0], a, x), (middle[1], b, y)):
            assert weights[row].tolist() == [1.0] * front + [2.0] * len(mid) + [1.0] * back + [0.0] * (7 - len(own))
        kept = sum(block.size for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
        for weights, own in ((edits[0], a), (edits[1], b)):
            assert sorted(weights[row].tolist()) == sorted(
                [1.0] * kept + [2.0] * (len(own) - kept) + [0.0] * (7 - len(own))
            )


def test_critic_weight_by_hand():
    """Odds 1 : 1 : 2 and 3 : 1 : 0 of the outcome."""
    logits = torch.tensor([[[1.0, 1.0, 2.0], [3.0, 1.0, 1e-30], [NAN, NAN, NAN]]]).log().repeat(2, 1, 1)
    logits.requires_grad_()
    mask = torch.tensor([[True, True, False], [True, False, False]])
    got = critic_weight(logits, torch.tensor([0, 2]), mask)
    close(got, torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.0, 0.0]]))
    assert not got.requires_grad


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="of 2 rows, but lines has 1"):
        on_lines(LINES, [{1}, {2}])
    with pytest.raises(ValueError, match=r"wanted \(B, T, 2\)"):
        on_lines(torch.zeros(1, 4, 3).long(), [{1}])


def random_lines(seed):
    """First and last lines of tokens, in order, some outside the code; a mask; garbage under neither."""
    rng = random.Random(seed)
    lines = torch.zeros(4, 12, 2, dtype=torch.long)
    for row in range(4):
        at = 1
        for token in range(12):
            if rng.random() < 0.25:
                continue
            last = at + rng.randint(0, 2)
            lines[row, token] = torch.tensor([at, last])
            at = last
    mask = torch.tensor([[rng.random() < 0.8 for _ in range(12)] for _ in range(4)])
    return rng, lines, mask


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rescale", [True, False])
def test_error_lines_against_loops(seed, rescale):
    rng, lines, mask = random_lines(seed)
    blamed = [rng.choice([None, "whole", *range(1, 9)]) for _ in range(4)]
    found = error_lines(lines, mask, blamed, penalty=-0.7, rescale=rescale)
    for row in range(4):
        hit = []
        for token in range(12):
            first, last = lines[row, token].tolist()
            inside = first > 0 and (blamed[row] == "whole" or (blamed[row] or 0) in range(first, last + 1))
            hit.append(bool(mask[row, token]) and inside and blamed[row] is not None)
        factor = sum(mask[row].tolist()) / max(1, sum(hit)) if rescale else 1.0
        close(found[row], torch.tensor([-0.7 * factor if on else 0.0 for on in hit]))


@pytest.mark.parametrize("seed", range(8))
def test_executed_lines_against_loops(seed):
    rng, lines, mask = random_lines(seed)
    executed = [None if rng.random() < 0.2 else {n for n in range(1, 16) if rng.random() < 0.4} for _ in range(4)]
    executable = [None if rng.random() < 0.3 else {n for n in range(1, 16) if rng.random() < 0.7} for _ in range(4)]
    found = executed_lines(lines, mask, executed, executable=executable, min_share=0.3)
    for row in range(4):
        in_code, idle = [], []
        for token in range(12):
            first, last = lines[row, token].tolist()
            touched = set(range(first, last + 1)) if first else set()
            own = bool(mask[row, token]) and bool(touched)
            in_code.append(own)
            could = executable[row] is None or bool(touched & executable[row])
            idle.append(own and executed[row] is not None and not touched & executed[row] and could)
        trusted = sum(in_code) - sum(idle) >= 0.3 * sum(in_code)
        wanted = [float(bool(m) and not (i and trusted)) for m, i in zip(mask[row], idle, strict=True)]
        assert found[row].tolist() == wanted


@pytest.mark.parametrize("seed", range(3))
def test_critic_weight_against_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    mask = torch.rand(3, 5, generator=generator) < 0.7
    logits[~mask] = NAN
    outcomes = torch.randint(0, 4, (3,), generator=generator)
    found = critic_weight(logits, outcomes, mask)
    for row in range(3):
        for token in range(5):
            if not mask[row, token]:
                assert found[row, token] == 0.0
                continue
            powers = [math.exp(value) for value in logits[row, token].tolist()]
            assert float(found[row, token]) == pytest.approx(powers[int(outcomes[row])] / sum(powers))
