"""Prompts for make_smollm2.py as ids of the reference tokenizer built from the same file.

Run:  python make_prompts.py FILE.gguf
"""
import json, pathlib, sys
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "The river had been low all summer, and the stones at the ford were dry.",
    "In 1969 two people walked on the Moon while a third waited in orbit.",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "SELECT name, COUNT(*) FROM orders WHERE total > 100 GROUP BY",
    "Pi is approximately 3.14159265358979 and e is approximately 2.71828",
    "Insurance spreads the cost of rare losses over many people who",
    "Water boils at a lower temperature on a mountain because",
    "Once upon a time there was a lighthouse keeper who",
    "Les chats dorment souvent seize heures par jour, mais",
    "Die Katze sitzt auf dem Dach und",
    "東京は日本の",
    "Привет, как",
    "🙂🙃 emoji and 👩‍🚀 joined emoji",
    "   leading spaces\tand\ttabs\n\n\nand blank lines",
    "1, 2, 4, 8, 16, 32, 64,",
    "7 * 8 = 56\n9 * 6 = 54\n12 * 12 =",
    "Q: What is the capital of France?\nA:",
    "fn main() {\n    println!(\"{}\", ",
    "<html><body><h1>Title</h1><p>",
    "Dear Sir or Madam,\n\nI am writing to",
    "The patient was given 20 mg of",
    "If all birds can fly and a penguin is a bird, then",
    "a",
    "To make bread you need flour, water, salt and",
]
CHATS = ["What is gravity?", "Write a haiku about the sea.", "Add 17 and 25."]


def main():
    path = pathlib.Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    ids = [tokenizer(t, add_special_tokens=False)["input_ids"] for t in TEXTS]
    ids += [tokenizer.apply_chat_template([{"role": "user", "content": c}], add_generation_prompt=True,
                                          return_dict=False) for c in CHATS]
    texts = TEXTS + [tokenizer.apply_chat_template([{"role": "user", "content": c}], tokenize=False,
                                                   add_generation_prompt=True) for c in CHATS]
    (HERE / "smollm2_prompts.json").write_text(json.dumps(ids) + "\n")
    (HERE / "smollm2_texts.json").write_text(json.dumps(texts, indent=1) + "\n")


main()
