"""Small files in every published layout, as JSON Lines, gzip and Parquet, and some broken ones.

Run:  python make_files.py        (pyarrow 26.0.1)

The rows are made up; field names and types are those of the published files.
"""
import gzip, json, pathlib
import pyarrow as pa, pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent / "files"
QUERY = "SUBREDDIT: r/{}\n\nTITLE: {}\n\nPOST: {}\n\nTL;DR:"
POSTS = [
    ("t3_a1", "pets", "Cat on the roof", "My cat climbs on the roof.\n\nShe won't come down.", "Cat stays on the roof."),
    ("t3_b2", "cooking", "Too much salt", "I salted the soup twice.", "Soup is too salty; what now?"),
    ("t3_c3", "AskEurope", "Größe der Wohnung", "Wir ziehen um. 🙂", "Umzug."),
]


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def comparison(post, choice, summaries):
    id, subreddit, title, body, _ = post
    return {
        "info": {"id": id, "post": body, "title": title, "subreddit": subreddit, "site": None, "article": None},
        "split": "valid1",
        "summaries": [{"text": t, "policy": p, "note": None} for t, p in summaries],
        "choice": choice,
        "worker": "w1",
        "batch": "batch3",
        "extra": {"confidence": 5},
    }


LAYOUTS = {
    "prompts": [
        {"prompt": "Why is the sky blue?", "label": 3},
        {"prompt": "  Name a river.\n", "label": 1},
    ],
    "prompts_turns": [
        {"prompt": [{"role": "system", "content": "Be brief."}, user("Hi!")]},
        {"prompt": [user("Hi!"), assistant("Hello."), user("How are you?")]},
    ],
    "prompt_completion": [
        {"prompt": QUERY.format(*p[1:4]), "completion": " " + p[4]} for p in POSTS
    ] + [{"prompt": "The capital of France is", "completion": " Paris."}],
    "posts": [dict(zip(("id", "subreddit", "title", "post", "summary"), p)) for p in POSTS],
    "query_reference": [
        {
            "id": p[0], "subreddit": p[1], "title": p[2], "post": p[3], "summary": p[4],
            "query_token": [50277, 50277, 12], "query": QUERY.format(*p[1:4]),
            "reference_response": f" {p[4]}<|endoftext|>", "reference_response_token": [7, 8],
            "reference_response_token_len": 2,
            "query_reference_response": QUERY.format(*p[1:4]) + f" {p[4]}<|endoftext|>",
        }
        for p in POSTS
    ],
    "comparisons": [
        comparison(POSTS[0], 1, [(" A cat.", "sup1"), (" My cat won't come down from the roof.", "ref")]),
        comparison(POSTS[0], 0, [(" Roof cat asks for help.", "sup2"), (" Cats.", "sup1")]),
        comparison(POSTS[1], 0, [(" Twice salted soup.", "ref"), (" Soup!", "sup4")]),
    ],
    "transcripts": [
        {
            "chosen": "\n\nHuman: How do I boil an egg?\n\nAssistant: Seven minutes in boiling water.",
            "rejected": "\n\nHuman: How do I boil an egg?\n\nAssistant: No idea.",
        },
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello, what can I do?\n\nHuman: Sing.\n\nAssistant: La la.\n\nLa.",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Hello, what can I do?\n\nHuman: Sing.\n\nAssistant: No.",
        },
    ],
    "preferences": [
        {"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5"},
        {"prompt": "Red and", "chosen": " blue", "rejected": " red"},
    ],
    "preferences_turns": [
        {"prompt": [user("Hi")], "chosen": [assistant("Hello!")], "rejected": [assistant("What?")],
         "score_chosen": 8.5, "score_rejected": 3.0},
        {"prompt": [user("Bye")], "chosen": [assistant("See you!")], "rejected": [assistant("Go.")],
         "score_chosen": 7.0, "score_rejected": 6.0},
    ],
    "preferences_repeated": [
        {"prompt": "Hi", "prompt_id": "f00d", "chosen": [user("Hi"), assistant("Hello!")],
         "rejected": [user("Hi"), assistant("What?")], "score_chosen": 8.5, "score_rejected": 3.0},
    ],
    "implicit": [
        {"chosen": "The sky is blue.", "rejected": "The sky is green."},
        {"chosen": "Größer ist gut", "rejected": "Größer ist schlecht"},
    ],
    "implicit_turns": [
        {"chosen": [user("Hi"), assistant("Hello!")], "rejected": [user("Hi"), assistant("What?")], "margin": 0.5},
    ],
    "gsm8k": [
        {"question": "One shelf holds 24 jars, a second half as many. How many jars are there?",
         "answer": "The second shelf holds 24/2=<<24/2=12>>12 jars.\nTogether there are 24+12=<<24+12=36>>36 jars.\n#### 36",
         "split": "train"},
        {"question": "A hall has 50 rows of 25 seats. How many seats is that?",
         "answer": "50*25=<<50*25=1250>>1250 seats.\n#### 1,250", "split": "train"},
        {"question": "It is 3 degrees and becomes 7.5 degrees colder. How warm is it?",
         "answer": "3-7.5=<<3-7.5=-4.5>>-4.5 degrees.\n#### -4.5", "split": "test"},
    ],
}
COMPRESSION = ["snappy", "gzip", "lz4", "zstd", "none"]


def main():
    HERE.mkdir(exist_ok=True)
    for i, (name, rows) in enumerate(LAYOUTS.items()):
        text = "".join(json.dumps(row, ensure_ascii=i % 2 == 0) + "\n" for row in rows)
        (HERE / f"{name}.jsonl").write_text(text)
        if i % 3 == 0:
            (HERE / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        pq.write_table(pa.Table.from_pylist(rows), HERE / f"{name}.parquet", row_group_size=2,
                       compression=COMPRESSION[i % len(COMPRESSION)], store_schema=False,
                       write_statistics=False)
    write = lambda name, table: pq.write_table(table, HERE / f"{name}.parquet", store_schema=False,
                                               write_statistics=False)
    write("bytes", pa.table({"prompt": pa.array([b"Hi", b"\xff\xfe", b"Bye"])}))
    text = pa.array([b"Hi", b"\xff\xfe"]).view(pa.string())
    write("bad_text", pa.table({"prompt": text}))
    scores = {"score_chosen": [1.0, float("nan")], "score_rejected": [0.5, 0.5]}
    write("nan", pa.table({"prompt": ["a", "b"], "chosen": ["c", "d"], "rejected": ["e", "f"], **scores}))
    pq.write_table(pa.table({"prompt": ["a", "b", None]}), HERE / "late.parquet", row_group_size=2)
    write("no_rows", pa.table({"prompt": pa.array([], pa.string())}))
    write("token_ids", pa.table({"input_ids": [[1, 2], [3]]}))


main()
