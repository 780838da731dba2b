"""Ids of the corpus by the reference tokenizers.

Run with transformers 5.24.0 and gguf 0.19.0, after make_corpus.py:  python make_tokenizer.py SMOLLM2.gguf
Writes, for each kind, tokenizer/KIND.safetensors: `ids` of all texts one after the other, special
tokens recognized and none added, and `lengths`; for the tiny ones also tokenizer/KIND.json (a
`tokenizer.json`) and tokenizer/KIND.gguf (the same as GGUF metadata).

smollm2 has the vocabulary and merges of the file, with the published pre-tokenizer. What the reference
library builds from the file differs: it does not know the name of that pre-tokenizer and leaves out
the splitting of digits. `file_differs` numbers the texts where that shows.
The tiny ones are trained here on the corpus, each with the published settings of its kind.
"""
import json
import pathlib
import sys

import gguf
import numpy as np
import tokenizers
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent / "tokenizer"
CORPUS = json.loads((HERE / "corpus.json").read_text())
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TRIPLES = CONTRACTIONS + r"\p{N}{1,3}" + REST
SINGLES = CONTRACTIONS + r"\p{N}" + REST
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Kind: name in GGUF, normalizer, pattern (none is GPT-2's), whole words before merges, special tokens, plain added ones.
KINDS = {
    "qwen2": ("qwen2", "NFC", SINGLES, False, CHATML, ["<tool_call>", "</tool_call>", "<think>", "</think>"]),
    "deepseek_qwen": ("deepseek-r1-qwen", None, SINGLES, False, ["<｜User｜>", "<|endoftext|>"], ["<think>", "</think>"]),
    "llama3": ("llama-bpe", None, TRIPLES, True, ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"], []),
    "olmo2": ("dbrx", None, TRIPLES, False, ["<|endoftext|>", "<|endofprompt|>", "|||IP_ADDRESS|||"], []),
    "gpt_neox": ("olmo", "NFC", None, False, ["<|endoftext|>"], [" " * n for n in (24, 12, 8, 4, 3, 2)]),
    "gpt2": ("gpt-2", None, None, False, ["<|endoftext|>"], []),
}


def tiny(kind):
    _, normalizer, pattern, whole, special, added = KINDS[kind]
    t = Tokenizer(models.BPE(ignore_merges=whole))
    t.normalizer = normalizers.NFC() if normalizer else None
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    t.pre_tokenizer = byte_level if pattern is None else pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), byte_level])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=440, special_tokens=[], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if whole:
        # Words that no merge leads to, as there are in the published vocabulary.
        file = json.loads(t.to_str())
        file["model"]["vocab"] |= {word: 440 + i for i, word in enumerate(["word", "Ġharbor", "Ġlighthouses", "keeper"])}
        t = Tokenizer.from_str(json.dumps(file))
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in special])
    t.add_tokens([AddedToken(s, normalized=kind == "gpt_neox", special=False) for s in added])
    if kind == "llama3":
        t.post_processor = processors.Sequence([t.post_processor, processors.TemplateProcessing(
            single=f"{special[0]} $A", pair=f"{special[0]} $A {special[0]}:1 $B:1",
            special_tokens=[(special[0], t.token_to_id(special[0]))])])
    return t


def write_gguf(kind, t):
    name, _, _, _, special, added = KINDS[kind]
    model = json.loads(t.to_str())["model"]
    tokens = [t.id_to_token(i) for i in range(t.get_vocab_size())]
    types = [3 if s in special else 4 if s in added else 1 for s in tokens]
    w = gguf.GGUFWriter(HERE / f"{kind}.gguf", "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(name)
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges([" ".join(pair) for pair in model["merges"]])
    w.add_bos_token_id(tokens.index(special[0]))
    w.add_add_bos_token(kind == "llama3")
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def save(kind, encode, **more):
    ids = [encode(text) for text in CORPUS]
    flat = np.array([i for line in ids for i in line])
    assert flat.max() < 1 << 16
    tensors = {"ids": flat.astype(np.uint16), "lengths": np.array([len(line) for line in ids], np.uint16)}
    path = HERE / f"{kind}.safetensors"
    save_file({**tensors, **more}, path)
    path.chmod(0o644)
    print(kind, len(flat), "ids", {name: len(values) for name, values in more.items()})
    return ids


def main():
    path = pathlib.Path(sys.argv[1])
    built = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    before = [built(text, add_special_tokens=False)["input_ids"] for text in CORPUS]
    backend = built.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    after = [backend.encode(text, add_special_tokens=False).ids for text in CORPUS]
    differs = [i for i, (a, b) in enumerate(zip(before, after)) if a != b]
    save("smollm2", lambda text: backend.encode(text, add_special_tokens=False).ids, file_differs=np.array(differs, np.uint16))
    for kind in KINDS:
        t = tiny(kind)
        t.save(str(HERE / f"{kind}.json"), pretty=False)
        write_gguf(kind, t)
        save(kind, lambda text: t.encode(text, add_special_tokens=False).ids)
    print("tokenizers", tokenizers.__version__)


main()
