"""Baselines for questions: classifiers on bags of words, and rules on the names in the context."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.data.text.questions import Question
from workbench.data.text.story_books import APART, WORDS

Right = list[bool]
Baseline = Callable[[Sequence[Question], Sequence[Question]], Right]
"""Returns, for (training questions, test questions), whether each test question is answered correctly."""


def naive_bayes(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Classify by multinomial naive Bayes on word counts."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    return fit_and_answer(CountVectorizer(), MultinomialNB(alpha=0.3), train, test)


def logistic_regression(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Classify by logistic regression on weighted counts of words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    return fit_and_answer(vectors, LogisticRegression(C=10, max_iter=200), train, test)


def fit_and_answer(vectors: object, classifier: object, train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Fit a scikit-learn classifier to the prompts and return which test answers are correct.

    Of overlapping training passages only every `WORDS // APART`-th is used, since counts should be independent.
    """
    from sklearn.pipeline import make_pipeline

    train = train[:: WORDS // APART]
    fitted = make_pipeline(vectors, classifier).fit([q.prompt for q in train], [q.answer for q in train])
    answers = fitted.predict([q.prompt for q in test])
    return [bool(answer == q.answer) for answer, q in zip(answers, test, strict=True)]


def most_frequent(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Answer with the most frequent choice in the prompt; the first if several are."""
    return [max(q.choices, key=lambda choice: q.prompt.count(choice.strip())) == q.answer for q in test]


def most_recent(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Answer with the last choice in the prompt."""
    return [max(q.choices, key=lambda choice: q.prompt.rfind(choice.strip())) == q.answer for q in test]


def nearest_words(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Answer with the choice whose neighbourhood shares the most words with the question (Hill et al. 2016)."""
    return [max(q.choices, key=lambda choice: shared_words(q.prompt, choice)) == q.answer for q in test]


def shared_words(prompt: str, choice: str, reach: int = 5) -> int:
    """Count the question's words within `reach` words of an occurrence of a choice; returns the maximum."""
    context, _, question = prompt.partition("\nQuestion:")
    words, asked = context.lower().split(), set(question.lower().split())
    places = [i for i, word in enumerate(words) if choice.strip().lower() in word]
    return max((len(asked & set(words[max(0, i - reach) : i + reach + 1])) for i in places), default=0)


BASELINES: dict[str, dict[str, Baseline]] = {
    "story_books": {"naive_bayes": naive_bayes, "logistic_regression": logistic_regression},
    "story_cloze": {"most_frequent": most_frequent, "most_recent": most_recent, "nearest_words": nearest_words},
}
"""Baselines by name for each data set of questions."""
