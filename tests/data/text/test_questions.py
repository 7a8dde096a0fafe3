"""Tests of questions as text: scored tokens, and questions made from books."""

from __future__ import annotations

import pytest
import torch

from workbench.core.errors import InputError
from workbench.data.pairs.story_sounds import pronounce_sentences
from workbench.data.tasks.sequences import UNSCORED
from workbench.data.text.byte_pairs import train_bpe
from workbench.data.text.questions import Question, QuestionData, encode_answers, padding_token, question_batches
from workbench.data.text.story_books import WORDS, split_passages
from workbench.data.text.story_cloze import GAP, LONGEST, find_names, last_sentences, make_questions

TOKENIZER = train_bpe("Alice saw the White Rabbit run. " * 10, 290)
BOOK = "One day Alice met Bob and then Carl. " * 6 + "The sun was out. After that came Bob again. " * 6


def test_only_the_tokens_of_answers_are_scored_and_shorter_texts_begin_with_the_end_of_another() -> None:
    inputs, targets = encode_answers([("Alice saw", " the"), ("Rabbit run. Alice saw the", " White Rabbit")], TOKENIZER)
    for row, answer in enumerate((" the", " White Rabbit")):
        scored = targets[row] >= 0
        assert TOKENIZER.decode(targets[row][scored]) == answer
        assert bool((targets[row][~scored] == UNSCORED).all()) and bool(scored[-1])
        assert torch.equal(targets[row][:-1][scored[:-1]], inputs[row][1:][scored[:-1]])
    assert int(inputs[0, 0]) == padding_token(TOKENIZER) and "Alice saw" in TOKENIZER.decode(inputs[0])


def test_batches_are_a_function_of_seed_and_step() -> None:
    asked = [Question("Alice saw", answer) for answer in (" the", " White", " Rabbit")]
    one, again, other = (question_batches(asked, TOKENIZER, 8, seed, 99) for seed in (0, 0, 1))
    assert torch.equal(one(3)[1], again(3)[1])
    assert any(not torch.equal(one(step)[1], other(step)[1]) for step in range(3))


def test_of_rows_that_are_too_long_the_end_is_left() -> None:
    asked = [Question("Alice saw the White Rabbit run. " * n, " the") for n in (1, 9)]
    for whole, cut in zip(*(question_batches(asked, TOKENIZER, 8, 0, longest)(0) for longest in (999, 7)), strict=True):
        assert whole.shape[1] > 7 and torch.equal(cut, whole[:, -7:])


def test_the_hash_tells_questions_apart() -> None:
    one, two = (QuestionData("x", (Question("a", b),), (), (), "", "").sha256 for b in ("b", "c"))
    assert one != two


def test_passages_have_so_many_words_and_follow_each_other_or_overlap() -> None:
    words = list(map(str, range(2 * WORDS + 5)))
    assert [text.split() for text in split_passages(words)] == [words[:WORDS], words[WORDS : 2 * WORDS]]
    assert [text.split() for text in split_passages(words, WORDS // 2)] == [
        words[i * WORDS // 2 : i * WORDS // 2 + WORDS] for i in range(3)
    ]


def test_a_gap_stands_for_the_one_name_of_a_sentence_and_the_choices_are_in_the_sentences_before() -> None:
    assert find_names(BOOK) == {"Alice", "Bob", "Carl"}
    asked = make_questions(BOOK)
    assert asked
    for question in asked:
        before, _, sentence = question.prompt.partition("\nQuestion: ")
        assert question.answer in question.choices and len(before) <= LONGEST
        assert all(choice in before for choice in question.choices)
        assert sentence == f"After that came {GAP} again.\nAnswer: After that came" and question.answer == " Bob"


def test_the_context_is_the_last_sentences_that_fit() -> None:
    assert last_sentences(["a" * LONGEST, "b" * 10, "c" * 10]) == f"{'b' * 10} {'c' * 10}"


def test_sentences_of_known_words_are_spelled_in_phonemes() -> None:
    sounds = {"the": "DH AH", "cat": "K AE T", "sat": "S AE T"}
    asked = pronounce_sentences("The cat sat. The dog sat here. The cat sat!", sounds, "train")
    assert asked == (Question("English: the cat sat\nSounds:", " DH AH | K AE T | S AE T\n"),)


@pytest.mark.parametrize(
    ("prompt", "answer", "says"),
    [
        ("", " the", "prompt '' of"),
        ("Alice", "", "answer '' of"),
        ("Alice", " the<|endoftext|>", "answer ' the<"),
    ],
)
def test_questions_of_which_nothing_would_be_scored_are_refused(prompt: str, answer: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        encode_answers([("Alice saw", " the"), (prompt, answer)], TOKENIZER)


def test_an_answer_longer_than_the_context_is_refused() -> None:
    asked = (Question("Alice saw", " the White Rabbit"),)
    with pytest.raises(InputError, match="the network reads 1. Leave the question out"):
        question_batches(asked, TOKENIZER, 2, seed=0, longest=1)(0)
