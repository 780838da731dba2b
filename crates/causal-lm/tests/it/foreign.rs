//! Writers of GGUF and safetensors files, sound or not.

/// Types of metadata values and tensors, by their code in a GGUF file.
pub(crate) mod code {
    pub(crate) const U8: u32 = 0;
    pub(crate) const U32: u32 = 4;
    pub(crate) const F32: u32 = 6;
    pub(crate) const BOOL: u32 = 7;
    pub(crate) const STRING: u32 = 8;
    pub(crate) const ARRAY: u32 = 9;
    pub(crate) const U64: u32 = 10;
    pub(crate) const F64: u32 = 12;
    /// Tensor types: code, numbers a block, bytes a block.
    pub(crate) const TENSORS: [(u32, usize, usize); 11] = [
        (0, 1, 4),
        (1, 1, 2),
        (2, 32, 18),
        (3, 32, 20),
        (6, 32, 22),
        (7, 32, 24),
        (8, 32, 34),
        (12, 256, 144),
        (13, 256, 176),
        (14, 256, 210),
        (30, 1, 2),
    ];
    pub(crate) const Q4_0: u32 = 2;
    pub(crate) const Q8_0: u32 = 8;
}

/// A GGUF file in the making.
#[derive(Clone, Default)]
pub(crate) struct GgufFile {
    pub(crate) values: Vec<(String, u32, Vec<u8>)>,
    /// Name, row-major shape, type code, offset.
    pub(crate) tensors: Vec<(String, Vec<u64>, u32, u64)>,
    pub(crate) data: Vec<u8>,
    /// Written in place of the true counts of tensors and values.
    pub(crate) counts: Option<[u64; 2]>,
}

impl GgufFile {
    /// Sets a value of any type; the last one of a key wins.
    pub(crate) fn value(mut self, key: &str, kind: u32, bytes: &[u8]) -> Self {
        self.values.retain(|(k, ..)| k != key);
        self.values.push((key.to_owned(), kind, bytes.to_vec()));
        self
    }

    pub(crate) fn u32(self, key: &str, value: u32) -> Self {
        self.value(key, code::U32, &value.to_le_bytes())
    }

    pub(crate) fn f32(self, key: &str, value: f32) -> Self {
        self.value(key, code::F32, &value.to_le_bytes())
    }

    pub(crate) fn string(self, key: &str, value: &str) -> Self {
        self.value(key, code::STRING, &text(value))
    }

    pub(crate) fn strings(self, key: &str, values: &[&str]) -> Self {
        let items: Vec<u8> = values.iter().flat_map(|v| text(v)).collect();
        self.array(key, code::STRING, values.len() as u64, &items)
    }

    pub(crate) fn array(self, key: &str, kind: u32, len: u64, items: &[u8]) -> Self {
        let bytes = [&kind.to_le_bytes()[..], &len.to_le_bytes(), items].concat();
        self.value(key, code::ARRAY, &bytes)
    }

    /// Adds a tensor whose bytes count up from 1.
    pub(crate) fn tensor(mut self, name: &str, shape: &[u64], kind: u32) -> Self {
        let (_, block, bytes) = *code::TENSORS.iter().find(|t| t.0 == kind).unwrap();
        let len = shape.iter().product::<u64>() as usize / block * bytes;
        self.data.resize(self.data.len().next_multiple_of(32), 0);
        self.tensors.push((name.to_owned(), shape.to_vec(), kind, self.data.len() as u64));
        self.data.extend((1..=len).map(|i| i as u8 % 61));
        self
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let counts = self.counts.unwrap_or([self.tensors.len() as u64, self.values.len() as u64]);
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend(counts.iter().flat_map(|n| n.to_le_bytes()));
        for (key, kind, bytes) in &self.values {
            out.extend([text(key), kind.to_le_bytes().to_vec(), bytes.clone()].concat());
        }
        for (name, shape, kind, offset) in &self.tensors {
            out.extend(text(name));
            out.extend((shape.len() as u32).to_le_bytes());
            out.extend(shape.iter().rev().flat_map(|d| d.to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&self.data);
        out
    }
}

fn text(value: &str) -> Vec<u8> {
    [&(value.len() as u64).to_le_bytes()[..], value.as_bytes()].concat()
}

/// A whole model of one block: 32 wide, two heads, 40 tokens, with tokenizer and template.
pub(crate) fn tiny_gguf() -> GgufFile {
    let letters = "abcdefghijklmnopqrstuvwxyz0123\u{120}\u{10a}!";
    let mut tokens: Vec<String> = vec!["<s>".into(), "</s>".into(), "<|im_start|>".into()];
    tokens.extend(letters.chars().map(String::from));
    tokens.extend(["th", "the", "\u{120}t", "in"].map(String::from));
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    assert_eq!(tokens.len(), 40);
    let types: Vec<u8> =
        (0..40_u32).flat_map(|id| if id < 3 { 3_u32 } else { 1 }.to_le_bytes()).collect();
    let mut file = GgufFile::default()
        .string("general.architecture", "llama")
        .u32("llama.block_count", 1)
        .u32("llama.context_length", 64)
        .u32("llama.embedding_length", 32)
        .u32("llama.feed_forward_length", 32)
        .u32("llama.attention.head_count", 2)
        .u32("llama.attention.head_count_kv", 1)
        .u32("llama.rope.dimension_count", 16)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .f32("llama.rope.freq_base", 10_000.0)
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", "smollm")
        .strings("tokenizer.ggml.tokens", &tokens)
        .array("tokenizer.ggml.token_type", code::U32, 40, &types)
        .strings("tokenizer.ggml.merges", &["t h", "th e", "\u{120} t", "i n"])
        .u32("tokenizer.ggml.bos_token_id", 0)
        .u32("tokenizer.ggml.eos_token_id", 1)
        .value("tokenizer.ggml.add_bos_token", code::BOOL, &[1])
        .string(
            "tokenizer.chat_template",
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m['content'] | trim }}</s>\n\
             {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        )
        .tensor("token_embd.weight", &[40, 32], code::Q8_0)
        .tensor("output_norm.weight", &[32], 0);
    for (part, rows) in [("attn_q", 32), ("attn_k", 16), ("attn_v", 16), ("attn_output", 32)] {
        file = file.tensor(&format!("blk.0.{part}.weight"), &[rows, 32], code::Q4_0);
    }
    for part in ["ffn_gate", "ffn_up", "ffn_down"] {
        file = file.tensor(&format!("blk.0.{part}.weight"), &[32, 32], code::Q4_0);
    }
    file.tensor("blk.0.attn_norm.weight", &[32], 0).tensor("blk.0.ffn_norm.weight", &[32], 0)
}

/// A file with a tensor of every type and a value of most.
pub(crate) fn every_kind() -> GgufFile {
    let mut file = GgufFile::default()
        .u32("general.alignment", 32)
        .value("a.u8", code::U8, &[7])
        .value("a.u64", code::U64, &[1; 8])
        .value("a.f64", code::F64, &1.5_f64.to_le_bytes())
        .array("a.bytes", code::U8, 5, b"bytes");
    for (kind, block, _) in code::TENSORS {
        file = file.tensor(&format!("kind.{kind}.weight"), &[2, block as u64], kind);
    }
    file
}

/// A safetensors file of a header as it stands and data that count up from 1.
pub(crate) fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut out = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    out.extend((1..=data).map(|i| i as u8 % 61));
    out
}
