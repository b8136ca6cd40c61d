"""Captions without words for daylight, which would fight the words for night or rain in a prompt."""

import re

_GAP, _ADJECTIVE_GAP = "\x00", "\x01"  # where a phrase was taken out, and where an adjective before a noun was

_LOOKS = (
    r"(?:"
    r"sunny|bright|brightly|clear|blue|cloudless|sunlit|light|pale|azure|beautiful|nice|lovely|fine|brilliant|"
    r"warm|hot|cold|cool|dry|windy|mild|early|late|mid|summers?|winters?|spring|autumn|fall|cloudy|overcast|"
    r"grey|gray|dull|gloomy|hazy|rainy|wet|foggy|snowy|typical|normal|ordinary|partly|very|really|open|white"
    r")"
)
_ADJECTIVES = rf"(?:{_LOOKS}(?:'s)?(?:\s*,\s*|\s+and\s+|\s+|-))*"
_BLUE = r"(?:clear|blue|bright|sunny|cloudless|azure)"
_ARTICLE = r"(?:(?:a|an|the|this|that|one|broad|full)\s+)"
_ON = (
    r"(?:out\s+in|on|in|during|under|underneath|beneath|below|at|against|by|through|throughout|into|with|from|of|"
    r"towards?|for|facing|reflecting)"
)
_DAY = (
    r"(?:day-?time|day-?light|sun-?light|sun-?shine|sun(?!\s+(?:roof|visor|shade|dress))|noon|mid-?day|"
    r"days?(?!\s+(?:trip|care)))(?:\s+(?:hours?|time|light|glare|flare|rays?|beams?))?"
)
_HOUR = r"(?:mornings?|afternoons?|sunset|sunrise)(?:\s+(?:hours?|time|light|sun))?"
_SKY = rf"(?:{_ADJECTIVES}{_BLUE}\s+(?:and\s+{_LOOKS}\s+)*(?:sky|skies|weather))"
_LIT = r"(?:bathed|lit(?:\s+up)?|drenched|illuminated|flooded|filled|covered|basking|glowing|soaked|shining|taken|seen)"
_SHINES = r"(?:shining|shines|beating|beats|streaming|streams|peeking|falling|coming|is\s+out)"
_SETS = r"(?:setting|sets|rising|rises)(?:\s+down)?"  # "over a city" is what the image shows, and stays
_ONTO = (
    r"(?:\s+(?:brightly|down|in))*"
    r"(?:\s+(?:through|on|over|behind|onto|above)(?:\s+(?:the|a|an|it|them|some|its))?(?:\s+\w+)?)?"
)
_WHERE = r"(?:\s+(?:in\s+the\s+(?:background|distance)|above|overhead|(?:above|behind|over)\s+(?:it|them|him|her)))"
_WHILE = r"(?:,?\s*\b(?:and|as|while|when|where|with)\s+)"

_NOUN = r"(?!(?:and|as|at|behind|by|for|from|hours?|in|is|near|next|of|on|over|time|to|under|when|while|with)\b)\w"

_RULES: tuple[tuple[str, str], ...] = (
    # "a daytime view", "in daytime traffic"
    (rf"\bday-?(?:time|light)\s+(?={_NOUN})", _ADJECTIVE_GAP),
    # "with a blue sky and clouds" becomes "with clouds"
    (
        rf"\b(with|of|has|and|,)\s+{_ARTICLE}?(?:{_SKY}|{_ADJECTIVES}sun(?:light|shine))\s+and\s+"
        r"(?!the\s+sun\b|sun)(?=\w)",
        r"\1 ",
    ),
    # "while the sun is shining through the trees", "the sky is clear and blue"
    (
        rf"{_WHILE}?\b(?:the\s+)?{_ADJECTIVES}sun(?:light|shine)?\s+(?:is\s+|was\s+)?(?:{_SHINES}{_ONTO}|{_SETS}{_WHERE}?)\b",
        _GAP,
    ),
    (rf"\bwith\s+{_ARTICLE}?{_ADJECTIVES}sun\s+(?:above|behind|between|over)\s+(?:a|the|some)\s+\w+", _GAP),
    (rf"{_WHILE}?\bthe\s+(?:sky|weather)\s+(?:is|was|looks)\s+{_LOOKS}(?:\s+and\s+{_LOOKS})*\b", _GAP),
    # "bathed in bright sunlight", "on a bright, sunny day", "in the middle of the day", "during daylight hours"
    (
        rf"(?:\b{_LIT}\s+)?\b{_ON}\s+{_ARTICLE}*(?:(?:time|middle|heat|light)\s+of\s+(?:the\s+)?)?"
        rf"{_ADJECTIVES}\b(?:{_DAY}|{_HOUR})\b{_WHERE}?",
        _GAP,
    ),
    # "under a clear blue sky", ", blue sky in the background", "and sunshine"
    (rf"\b{_ON}\s+{_ARTICLE}?{_SKY}\b{_WHERE}?", _GAP),
    (rf"(?:\s*,)?\s*(?:,|\band)\s+{_ARTICLE}?(?:{_SKY}|{_ADJECTIVES}{_DAY})\b{_WHERE}?", _GAP),
    # "a sunny day in the city", "sunlight on a road", "the blue sky over a street"
    (
        rf"(?:\b(?:it\s+is|it's|this\s+is)\s+)?\b{_ARTICLE}?"
        rf"(?:{_SKY}|\b{_ADJECTIVES}(?:{_DAY}|sunset|sunrise))\b{_WHERE}?",
        _GAP,
    ),
    # "a sunny street"
    (r"\b(?:sunny|sun-?lit|sun-?drenched|sun-?soaked|day-?lit)\s+(?=\w)", _ADJECTIVE_GAP),
    (r"\bsunny\b", _GAP),
)
_COMPILED = [(re.compile(pattern, re.IGNORECASE), by) for pattern, by in _RULES]

_WORDS_BEFORE = r"(?:and|or|with|while|as|when|where|but|of|on|in|at|by|is|a|an|the)"
_MENDS: tuple[tuple[str, str], ...] = (
    (rf"(?:[\s{_GAP}]*{_GAP}[\s{_GAP}]*)", f" {_GAP} "),  # one gap for several
    (rf"\b{_WORDS_BEFORE}\s+{_GAP}", _GAP),  # "with and", "street with"
    (rf"^\s*{_GAP}\s*(?:[,.]\s*)*(?:(?:and|or|but|over)\s+)?", ""),
    (rf"\s*,?\s*{_GAP}\s*$", ""),
    (rf"\s*,?\s*{_GAP}\s*([.!?])", r"\1"),
    (rf"\s*,\s*{_GAP}\s*,", ","),
    (rf"\s*{_GAP}\s*,", ","),
)
_MENDING = [(re.compile(pattern, re.IGNORECASE), by) for pattern, by in _MENDS]
_ARTICLE_BEFORE_GAP = re.compile(rf"\b(a|an)(\s+{_ADJECTIVE_GAP}+\s*)(\w+)", re.IGNORECASE)
_SOUNDS_LIKE_CONSONANT = re.compile(r"uni|use|usu|eu|one\b|once\b", re.IGNORECASE)


def without_day_words(caption: str) -> str:
    """A caption without what it says of sun, blue sky and daytime; the rest stays a phrase, and may be empty.

    "a bus on a street on a sunny day" becomes "a bus on a street", "a sunny urban street" "an urban street".
    """
    text = " ".join(caption.split())
    for pattern, by in _COMPILED:
        text = pattern.sub(by, text)
    text = _ARTICLE_BEFORE_GAP.sub(lambda found: f"{_article(found[1], found[3])} {found[3]}", text)
    text = text.replace(_ADJECTIVE_GAP, "")
    for _ in range(text.count(_GAP)):
        for pattern, by in _MENDING:
            text = pattern.sub(by, text)
    return " ".join(text.replace(_GAP, "").split())


def _article(present: str, word: str) -> str:
    """The article for a word, with the capital of the present one."""
    vowel = word[0].lower() in "aeiou" and not _SOUNDS_LIKE_CONSONANT.match(word)
    return present[0] + ("n" if vowel else "")
