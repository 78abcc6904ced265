"""Search that finds Chinese terms: a run of Chinese is indexed, and asked for, by its pairs.

Sphinx's own Chinese splitter needs a dictionary of words. Overlapping pairs need none: 推荐系统 is
found by 推荐, 荐系 and 系统, and a query is cut in the same way, so that 推荐 finds it as well.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

# One list of ranges for both languages of the splitter; the same words must come out.
CHINESE = r"\u3400-\u4dbf\u4e00-\u9fff"
_CHINESE = re.compile(f"[{CHINESE}]+")
_WORD = re.compile(rf"[{CHINESE}]+|[^\W{CHINESE}]+")


class EnglishAndChinese(SearchEnglish):
    """English words by their stems, Chinese by overlapping pairs of characters."""

    js_splitter_code = f"""
function splitQuery(query) {{
  const words = query.match(/[{CHINESE}]+|[^\\s{CHINESE}\\p{{P}}\\p{{S}}]+/gu) ?? [];
  return words.flatMap((word) => {{
    if (word.length < 3 || !/^[{CHINESE}]/u.test(word)) return [word];
    return [...word].slice(1).map((next, place) => word[place] + next);
  }});
}}
"""

    def split(self, input: str) -> list[str]:
        """Return the words of a text: ``"兴趣向量 AI"`` gives 兴趣, 趣向, 向量 and AI."""
        return [part for word in _WORD.findall(input) for part in _pairs(word)]


def _pairs(word: str) -> list[str]:
    if len(word) < 3 or not _CHINESE.match(word):
        return [word]
    return [word[place : place + 2] for place in range(len(word) - 1)]


def setup(app: Sphinx) -> dict[str, object]:
    """Put the splitter in the place of the English one."""
    app.add_search_language(EnglishAndChinese)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
