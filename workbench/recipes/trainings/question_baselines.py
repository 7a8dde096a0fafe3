"""What answers questions without a language model: bags of words, and names by how often or how near they occur."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.data.text.questions import Question
from workbench.data.text.story_books import APART, WORDS

Right = list[bool]
Baseline = Callable[[Sequence[Question], Sequence[Question]], Right]
"""(training questions, test questions) -> whether each of the latter is answered rightly."""


def naive_bayes(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Multinomial naive Bayes on counts of words."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    return classified(CountVectorizer(), MultinomialNB(alpha=0.3), train, test)


def logistic_regression(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Logistic regression on weighted counts of words and pairs of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    return classified(vectors, LogisticRegression(C=10, max_iter=200), train, test)


def classified(vectors: object, classifier: object, train: Sequence[Question], test: Sequence[Question]) -> Right:
    """Answers of a scikit-learn classifier fitted to the prompts.

    Of passages that overlap those are left out that have most of their words in common: counts want independent ones.
    """
    from sklearn.pipeline import make_pipeline

    train = train[:: WORDS // APART]
    fitted = make_pipeline(vectors, classifier).fit([q.prompt for q in train], [q.answer for q in train])
    answers = fitted.predict([q.prompt for q in test])
    return [bool(answer == q.answer) for answer, q in zip(answers, test, strict=True)]


def most_frequent(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """The choice that the prompt has most often; of several the first."""
    return [max(q.choices, key=lambda choice: q.prompt.count(choice.strip())) == q.answer for q in test]


def most_recent(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """The choice that the prompt has last."""
    return [max(q.choices, key=lambda choice: q.prompt.rfind(choice.strip())) == q.answer for q in test]


def nearest_words(train: Sequence[Question], test: Sequence[Question]) -> Right:
    """The choice around which the context has most of the question's words: a bag of words (Hill et al. 2016)."""
    return [max(q.choices, key=lambda choice: shared_words(q.prompt, choice)) == q.answer for q in test]


def shared_words(prompt: str, choice: str, reach: int = 5) -> int:
    """How many of the question's words stand within so many words of one place of a choice, at most."""
    context, _, question = prompt.partition("\nQuestion:")
    words, asked = context.lower().split(), set(question.lower().split())
    places = [i for i, word in enumerate(words) if choice.strip().lower() in word]
    return max((len(asked & set(words[max(0, i - reach) : i + reach + 1])) for i in places), default=0)


BASELINES: dict[str, dict[str, Baseline]] = {
    "story_books": {"naive_bayes": naive_bayes, "logistic_regression": logistic_regression},
    "story_cloze": {"most_frequent": most_frequent, "most_recent": most_recent, "nearest_words": nearest_words},
}
"""Baselines by name, for each data set of questions."""
