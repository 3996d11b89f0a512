"""Generators for operators on strings and n-grams."""
import numpy as np


WORDS = np.array(["", "a", "b", "ab", "the", "The", " the  end ", "-x-", "x--y", "naïve-ß", "日本-語", "a b\tc", "-", "ABBA", "b-a"], object)


def draw_words(draw, shape) -> np.ndarray:
    return draw.numbers.choice(WORDS, shape)


def _match(draw):
    pattern = draw.one("a*b", "(a|b)+", "[^-]*", r"\w+", ".*e.*", "x--?y|the", "[a-z]{2,6}", "日本.語", "", "(ab?){1,3}")
    return draw.node([draw_words(draw, draw.shape())], pattern=pattern)


def _join(draw):
    a, b = draw.broadcast(2)
    return draw.node([draw_words(draw, a), draw_words(draw, b)])


def _normalise(draw):
    """Case changes letter by letter: a letter whose other case is two letters stays."""
    shape = draw.one((draw.whole(1, 6),), (1, draw.whole(1, 6)))
    x, change, sensitive, stops = draw_words(draw, shape), draw.one("NONE", "LOWER", "UPPER"), draw.one(0, 1), draw.one(["the", "b"], ["-"])
    node = draw.node([x], case_change_action=change, is_case_sensitive=sensitive, stopwords=stops)
    kept = [word for word in x.reshape(-1) if (word if sensitive else word.lower()) not in stops]
    turn = {"NONE": str, "LOWER": str.lower, "UPPER": lambda word: "".join(letter.upper() if len(letter.upper()) == 1 else letter for letter in word)}[change]
    found = np.array([turn(word) for word in kept] or [""], object)
    node.wanted = [found if x.ndim == 1 else found[None]]
    return node


def _split(draw):
    shape = draw.shape(draw.whole(0, 2), least=1)
    return draw.node([draw_words(draw, shape)], 2, **draw.one({}, {"delimiter": "-"}, {"delimiter": "--"}, {"delimiter": "-", "maxsplit": 1}, {"maxsplit": 1}))


def _grams(draw):
    shape = draw.one((draw.whole(1, 8),), (2, draw.whole(1, 8)))
    most, least, skip = draw.whole(1, 3), 1, draw.whole(0, 2)
    least = draw.whole(1, most)
    sizes = [0, 3, 3 + 2 * 3, 3 + 2 * 3 + 3 * 2][:most]
    pool = [0, 1, 2, 0, 1, 1, 2, 2, 2, 0, 1, 2, 1, 1, 1][:[3, 9, 15][most - 1]]
    count = 3 + (3 if most > 1 else 0) + (2 if most > 2 else 0)
    attributes = {"mode": draw.one("TF", "IDF", "TFIDF"), "min_gram_length": least, "max_gram_length": most, "max_skip_count": skip, "ngram_counts": sizes,
                  "ngram_indexes": [int(place) for place in draw.random.permutation(count)], "weights": draw.floats(count, 0.5, 2)}
    if draw.element(0) == "string":
        return draw.node([draw.numbers.choice(np.array(["a", "b", "c"], object), shape)], pool_strings=["abc"[number] for number in pool], **attributes)
    return draw.node([draw.values(0, shape, 0, 2)], pool_int64s=pool, **attributes)


GENERATORS = {"RegexFullMatch": _match, "StringConcat": _join, "StringNormalizer": _normalise, "StringSplit": _split, "TfIdfVectorizer": _grams}
