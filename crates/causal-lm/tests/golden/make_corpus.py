"""A corpus of 1,000 texts that are hard to tokenize, all made up here.

Run with Python 3:  python make_corpus.py
Writes tokenizer/corpus.json: a list of texts. The same on every run.
"""
import json
import pathlib
import random

HERE = pathlib.Path(__file__).parent
RNG = random.Random(20260101)

SENTENCES = """The river had risen overnight and the ferry could not cross.
Nobody's quite sure, but they'd've told us if it weren't so; I'm certain we'll see.
IT'S WHAT SHE'D SAID: DON'T, WON'T, CAN'T, I'VE, YOU'RE, HE'LL.
Der Fährmann überquerte die Straße mit Äpfeln, Öl und süßem Gebäck.
L'été, les élèves naïfs dînent à l'hôtel où l'œuf coûte 3,50 €.
El niño pingüino ¿qué años tiene? ¡Ninguno!
Žluťoučký kůň příšerně úpěl ďábelské ódy.
Ağaçların gölgesinde ılık İstanbul ışığı.
Паром не мог переправиться через реку, вода поднялась за ночь.
Річка піднялася вночі, їжак щез у гаю.
Ο ποταμός φούσκωσε τη νύχτα και το πλοίο δεν πέρασε.
הנהר עלה בלילה והמעבורת לא יכלה לחצות.
ارتفع النهر ليلاً ولم تستطع العبّارة أن تعبر.
رودخانه شب بالا آمد و می‌خواهم بدانم.
नदी रात में चढ़ गई और नाव पार नहीं जा सकी।
রাতে নদী ফুলে উঠেছিল, খেয়া পার হতে পারেনি।
ஆறு இரவில் பெருகியது, படகு கடக்க முடியவில்லை.
แม่น้ำสูงขึ้นในตอนกลางคืนและเรือข้ามฟากข้ามไม่ได้
ទន្លេបានឡើងនៅពេលយប់
မြစ်သည် ညတွင် တက်လာသည်။
მდინარე ღამით ადიდდა და ბორანი ვერ გადავიდა.
Գետը գիշերը բարձրացավ։
河水一夜之间上涨，渡船无法过河。
川は夜のうちに増水し、渡し船は渡れなかった。カタカナとｶﾅ。
강물이 밤새 불어나 나룻배가 건너지 못했다.
Sông dâng lên trong đêm và phà không thể qua.
ወንዙ በሌሊት ሞላ።
ᎠᎹᏱ ᎡᏉᎯ""".split("\n")

CODE = [
    "def area(w, h):\n    if w < 0:\n        raise ValueError(f\"bad {w!r}\")\n    return w * h\n",
    "fn main() {\n    let xs: Vec<u8> = (0..=255).collect();\n    println!(\"{xs:?} {}\", xs.len());\n}\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] << 2; }  // shift\n",
    "SELECT name, COUNT(*) AS n FROM boats WHERE tons >= 12.5 GROUP BY 1 HAVING n > 1;\n",
    "<div class=\"row\" data-x='1'>\n\t<p>5 &lt; 6 &amp; 7</p>\n</div>\n",
    "const f = async (x) => ({ ...x, y: x?.z ?? `t${x}` });\n",
    "{\"a\": [1, -2.5e-3, null, true], \"b\": {\"c\": \"\\u00e9\\n\"}}\n",
    "all: main.o\n\t$(CC) -o $@ $^ && ./$@ 2>/dev/null || exit 1\n",
    "if [[ -z \"${X:-}\" ]]; then echo \"$((1+2))\" >> out.txt; fi\n",
    "\\begin{align} \\int_0^\\infty e^{-x^2}\\,dx &= \\frac{\\sqrt{\\pi}}{2} \\end{align}\n",
    "instance Monad m => Functor (StateT s m) where fmap = liftM\n",
    "# Title\n\n* item `code`\n* **bold** _it_ [link](a/b?c=d#e)\n\n```rust\nlet x = 1;\n```\n",
    "#include <stdio.h>\n#define MAX(a,b) ((a)>(b)?(a):(b))\n",
    "name: ci\non: [push]\njobs:\n  build:\n    steps:\n      - run: |\n          make -j2\n",
    "x = np.einsum('bhqd,bhkd->bhqk', q, k) / d**0.5  # noqa: E501\n",
    "^(?:\\d{1,3}\\.){3}\\d{1,3}$ [^\\s\"']+ \\p{L}+\n",
]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_start|>user\nHi<|im_end|>\n", "<|im_start", "|im_end|>",
           "<|IM_START|>", "< |im_start|>", "<|im_start|><|im_end|><|im_end|>", "<repo_name>", "<file_sep>", "<jupyter_start>",
           "<|begin_of_text|>", "<|eot_id|>", "<think>", "</think>", "<|im_start|> ", " <|im_start|>", "<s>", "</s>", "[INST]",
           "<|start_header_id|>user<|end_header_id|>\n\n", "<｜User｜>", "<tool_call>\n{}\n</tool_call>", "[PAD]", "<unk>",
           "<|box_start|>", "<|endofprompt|>", "|||IP_ADDRESS|||"]
SPACES = [" ", "  ", "   ", "    ", "\t", "\t\t", " \t ", "\n", "\n\n", "\n\n\n\n", "\r\n", "\r\n\r\n", "\r", " \n", "\n ", "  \n  ",
          " " * 17, "\t" * 9, "\n" * 12, "\u00a0", "\u2003", "\u3000", "\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\ufeff",
          "\u200b", "\u200d", "\u200e", "\u202e", "\u2060", "\u180e", "\u1680", "\u00ad"]
EMOJI = ["🙂", "👩‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷🇩🇪", "👍🏽", "❤️", "☺", "☺️", "1️⃣", "🧑🏿‍🤝‍🧑🏻", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🫠", "♞", "✓"]
MARKS = ["e\u0301", "é", "a\u0308\u0323", "o\u0302\u0301", "n\u0303", "Z\u0351\u036b\u0343\u036a\u0302", "ก\u0e34\u0e4c", "क\u094d\u0937",
         "\u0301", " \u0301x", "ﬁ", "ﬀ", "Å", "Å", "½", "Ⅷ", "①", "ǆ", "ß", "ẞ", "İ", "ı", "ſ", "K"]
CONTROL = ["\x00", "\x01", "\x07", "\x08", "\x1b[31m", "\x1f", "\x7f", "\x80", "\x9f", "\ufffd", "\ufffe", "\uffff", "\U0010ffff",
           "\ue000", "\U000f0000", "\U000e0001"]
NUMBERS = ["0", "7", "42", "1234567890", "3.14159", "-273.15", "1e10", "6.02E+23", "1,000,000", "1.000.000,00", "0x1F4A9", "0b1011",
           "007", "12:34:56", "2024-02-29", "29/02/2024", "$1,234.56", "99%", "+49 30 123456", "192.168.0.1", "v1.2.3-rc4", "½", "٣٤٥",
           "१२३", "৪৫", "๑๒๓", "四十二", "Ⅳ", "²³", "₁₂", "1st", "2nd", "x86_64", "1/2", "10^6", "5'11\"", "’90s", "1️⃣2", "1000000007",
           "31415926535897932384626433832795028841971693993751"]
PUNCTUATION = ["...", "…", "—", "--", "!?", "?!?!", "\"'`", "“quoted”", "‘single’", "«guillemets»", "「鍵」", "(a)", "[b]", "{c}", "<d>",
               "a/b\\c", "a_b__c", "___", "***", "===", "~~~", "#@!$%^&*", "it's", "it’s", "'s", "'S", "'ll", "'LL", "' s", "x's'y",
               "don't", "DON'T", "l'eau", "O'Neil's", "'tis", "rock'n'roll", "''", "'re", "''ve", "\"'d\"", ";)", ":-(", "->", "=>", "!=",
               "<=", "::", "//", "/*", "*/", "#!", "$$", "§", "©®™", "€£¥₹", "°C", "µm", "×÷±", "→←↔", "∑∫√∞", "𝔸𝕓ℂ", "𝒳", "𐍈", "𓂀"]
WORDS = ("a I the of boat harbor tide keeper unusual lighthouses antidisestablishmentarianism Straße CamelCaseName snake_case_name "
         "kebab-case-name SCREAMING_CASE iPhone eBay McDonald U.S.A. e.g. i.e. naïve résumé").split()


def long_word():
    return RNG.choice([
        lambda: "".join(RNG.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(RNG.randrange(60, 400))),
        lambda: RNG.choice("aA01-=_.é界🙂 ") * RNG.randrange(50, 300),
        lambda: "".join(RNG.choice("0123456789abcdef") for _ in range(64)),
        lambda: "".join(RNG.choice("ACGT") for _ in range(200)),
        lambda: "".join(RNG.choice("ABCDEFGHIJabcdefghij0123456789+/") for _ in range(120)) + "==",
        lambda: "https://example.org/" + "/".join(RNG.choice(WORDS) for _ in range(12)) + "?q=%20%C3%A9&x=1#top",
        lambda: "Donau" + "dampfschifffahrt" * RNG.randrange(2, 9) + "skapitän",
    ])()


def any_character():
    while True:
        c = RNG.choice([RNG.randrange(0x20, 0x250), RNG.randrange(0x250, 0x3000), RNG.randrange(0x3000, 0xffff), RNG.randrange(0x10000, 0x1ffff),
                        RNG.randrange(0x110000)])
        if not 0xd800 <= c < 0xe000:
            return chr(c)


def piece():
    pool = RNG.choices([SENTENCES, CODE, SPECIAL, SPACES, EMOJI, MARKS, CONTROL, NUMBERS, PUNCTUATION, WORDS],
                       [4, 2, 3, 6, 2, 2, 1, 5, 5, 8])[0]
    text = RNG.choice(pool)
    if pool in (SENTENCES, CODE) and RNG.random() < 0.5:
        a = RNG.randrange(len(text))
        text = text[a:a + RNG.randrange(1, 25)]
    return text


def main():
    texts = [""] + SENTENCES + CODE + SPECIAL + SPACES + EMOJI + MARKS + CONTROL + NUMBERS + PUNCTUATION
    texts += [a + b for a in ("x", "7", ".", " ", "\n") for b in SPACES[:20]]
    texts += [a + "word" + a for a in SPACES[:20]]
    texts += [long_word() for _ in range(40)]
    texts += ["".join(any_character() for _ in range(RNG.randrange(1, 30))) for _ in range(60)]
    seen = set()
    texts = [t for t in texts if not (t in seen or seen.add(t))]
    while len(texts) < 1000:
        text = RNG.choice(["", "", " "]).join(piece() for _ in range(RNG.randrange(2, 12)))
        if text not in seen:
            seen.add(text)
            texts.append(text)
    assert len(texts) == 1000
    folder = HERE / "tokenizer"
    folder.mkdir(exist_ok=True)
    # ASCII only, so that nothing between here and there normalizes it.
    (folder / "corpus.json").write_text(json.dumps(texts, indent=0) + "\n")


main()
