"""Chinese lyrics: numbers into Chinese characters, punctuation into commas; no library.

Follows the text normaliser of the reference implementation (ace-step/ACE-Step at d612523). Each rule looks for its
numbers in the text as it stands, then replaces the first place where those very digits occur. When they occur twice
that may be another place than the one found: the model learned from text treated like that.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

_DIGITS = "零一二三四五六七八九"
_UNIT_BY_POWER = {44: "载", 40: "正", 36: "涧", 32: "沟", 28: "穰", 24: "秭", 20: "垓", 16: "京", 12: "兆", 8: "亿"} | {
    4: "万",
    3: "千",
    2: "百",
    1: "十",
}
"""Power of ten -> character, largest first."""

_NUMBER = r"\d+(?:\.\d+)?"
_DATE = re.compile(r"\D+((?:(?:[089]\d|(?:19|20)\d{2})年)?(?:\d{1,2}月(?:\d{1,2}[日号])?)?)")
_MONEY_UNIT = "(?:亿|千万|百万|万|千|百|元|块|角|毛|分)"
_MONEY = re.compile(rf"\D+({_NUMBER}[多余几]?{_MONEY_UNIT}(?:\d{_MONEY_UNIT}?)?)")
_MOBILE_PHONE = re.compile(r"\D((?:\+?86 ?)?1(?:[38]\d|5[0-35-9]|7[678]|9[89])\d{8})\D")
_FIXED_PHONE = re.compile(r"\D((?:0(?:10|2[1-3]|[3-9]\d{2})-?)?[1-9]\d{6,7})\D")
_FRACTION = re.compile(r"(\d+/\d+)")
_PERCENTAGE = re.compile(rf"({_NUMBER}%)")
_LONG_NUMBER = re.compile(r"(\d{4,32})")
_ANY_NUMBER = re.compile(rf"({_NUMBER})")
_MEASURE_WORDS = (
    "匹张座回场尾条个首阙阵网炮顶丘棵只支袭辆挑担颗壳窠曲墙群腔砣客贯扎捆刀令打手罗坡山岭江溪钟队单双对出口头脚板"
    "跳枝件贴针线管名位身堂课本页家户层丝毫厘分钱两斤铢石钧锱忽寸尺丈里寻常铺程撮勺合升斗盘碗碟叠桶笼盆盒杯斛锅簋"
    "篮罐瓶壶卮盏箩箱煲啖袋钵年月日季刻时周天秒旬纪岁世更夜春夏秋冬代伏辈丸泡粒幢堆根道面片块"
)
_MEASURED = re.compile(rf"({_NUMBER})[多余几]?(?:[千毫微]克|[千分厘毫微]米|[{_MEASURE_WORDS}])")
_TWO_BETWEEN_LETTERS = re.compile("([a-zA-Z]+二[a-zA-Z]+)")

_PUNCTUATION = (
    string.punctuation
    + "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃"
    + "《》「」『』【】〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏·〈〉"
)
_TO_COMMA = str.maketrans(dict.fromkeys(_PUNCTUATION, ","))


def spell_chinese(text: str) -> str:
    """The text with every number in Chinese characters and every punctuation mark as ``,``.

    >>> spell_chinese("2024年有30天，36.6度。")
    '二零二四年有三十天,三十六点六度,'
    """
    text = f"^{text}$"  # the rules want a non-digit on both sides of a number
    text = _replace(text, _DATE, _date)
    text = _replace(text, _MONEY, lambda money: _ANY_NUMBER.sub(lambda number: cardinal(number[1]), money))
    text = _replace(text, _MOBILE_PHONE, lambda phone: digit_by_digit(re.sub(r"[+\s]", "", phone)))
    text = _replace(text, _FIXED_PHONE, lambda phone: digit_by_digit(phone.replace("-", "")))
    text = _replace(text, _FRACTION, _fraction)
    text = _replace(text.replace("％", "%"), _PERCENTAGE, lambda percentage: "百分之" + cardinal(percentage[:-1]))
    text = _replace(text, _MEASURED, cardinal)
    text = _replace(text, _LONG_NUMBER, digit_by_digit)
    text = _replace(text, _ANY_NUMBER, cardinal)
    text = _replace(text, _TWO_BETWEEN_LETTERS, lambda name: name.replace("二", "2"))  # P2P, B2B
    return text.lstrip("^").rstrip("$").translate(_TO_COMMA)


def cardinal(number: str) -> str:
    """A whole or decimal number in digits, as a quantity: ``"2024.5"`` -> ``"两千零二十四点五"``."""
    whole, _, decimals = number.partition(".")
    words = digit_by_digit(whole) if len(whole) == 1 else _quantity(whole)
    words = re.sub(r"(?<![零一二三四五六七八九十])二(?=[百千万亿兆京垓秭穰沟涧正载])", "两", words)
    if decimals:
        words = (words or "零") + "点" + digit_by_digit(decimals)
    return words[1:] if words.startswith("一十") else words


def digit_by_digit(number: str) -> str:
    """A run of digits read one by one, as in a year or a telephone number: ``"2024"`` -> ``"二零二四"``."""
    return "".join(_DIGITS[int(digit)] for digit in number)


def _quantity(digits: str) -> str:
    significant = digits.lstrip("0")
    if len(significant) <= 1:
        zero = "零" if significant and significant != digits else ""
        return zero + digit_by_digit(significant)
    power = next(power for power in _UNIT_BY_POWER if power < len(significant))
    return _quantity(digits[:-power]) + _UNIT_BY_POWER[power] + _quantity(significant[-power:])


def _date(date: str) -> str:
    year, mark, rest = date.rpartition("年")
    spelled = digit_by_digit(year) + mark
    return spelled + re.sub(r"\d+", lambda number: cardinal(number[0]), rest)


def _fraction(fraction: str) -> str:
    numerator, denominator = fraction.split("/")
    return f"{cardinal(denominator)}分之{cardinal(numerator)}"


def _replace(text: str, pattern: re.Pattern[str], spell: Callable[[str], str]) -> str:
    for found in pattern.findall(text):
        if found:
            text = text.replace(found, spell(found), 1)
    return text
