//! The default model against the reference implementation.

use std::sync::LazyLock;

use causal_lm::{
    LoadOptions, Pretrained,
    chat::{Message, Prompt},
    generate::{Flow, GenerateConfig, Request, generate},
    model::Layout,
};
use tch::{Kind, Tensor};

use crate::{
    common::{Golden, golden, ids_tensor, max_abs_diff, smollm2_path},
    families::assert_same_while_clear,
};

/// Rounding of f32 sums in another order through 30 blocks.
const TOLERANCE: f64 = 2e-3;

const CHATS: [&str; 3] = ["What is gravity?", "Write a haiku about the sea.", "Add 17 and 25."];

fn load() -> Pretrained {
    Pretrained::load(&smollm2_path(), &LoadOptions::default()).unwrap()
}

static PROMPTS: LazyLock<Vec<Vec<u32>>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(golden("smollm2_prompts.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

#[test]
fn logits_and_continuations_equal_the_reference() {
    let model = load();
    let golden = Golden::open(&golden("smollm2.safetensors"));
    let every = |t: &Tensor, step: i64| t.slice(-1, 0, None, step);
    for k in 0..golden.prompts() {
        let ids = ids_tensor(&golden.ids(&format!("ids.{k}")));
        let hidden = tch::no_grad(|| model.lm.hidden(&ids, &Layout::Dense).unwrap());
        let logits = model.lm.logits(&hidden).squeeze_dim(0).detach();
        let last = logits.select(0, -1);
        for (found, expected) in [
            (every(&logits, 768), format!("logits.{k}")),
            (every(&last, 48), format!("last.{k}")),
            (logits.logsumexp([-1], false), format!("lse.{k}")),
        ] {
            let diff = max_abs_diff(&found, golden.get(&expected));
            assert!(diff <= TOLERANCE, "{expected}: {diff}");
        }
    }
    let requests: Vec<Request> =
        PROMPTS.iter().map(|ids| Request { prompt: ids.clone(), seed: 0 }).collect();
    let config = GenerateConfig { max_new_tokens: 64, ..GenerateConfig::default() };
    let made = generate(&model.lm.packed(), &requests, &config, &mut |_| Flow::Continue).unwrap();
    for (k, made) in made.iter().enumerate() {
        assert_same_while_clear(&golden, k, &made.ids, "SmolLM2");
    }
}

#[test]
fn tokenizer_and_template_equal_the_reference() {
    let model = load();
    let text = std::fs::read_to_string(golden("smollm2_texts.json")).unwrap();
    let texts: Vec<String> = serde_json::from_str(&text).unwrap();
    for (text, ids) in texts.iter().zip(PROMPTS.iter()) {
        assert_eq!(&model.tokenizer.encode(text).unwrap(), ids, "{text:?}");
        assert_eq!(&model.tokenizer.decode(ids).unwrap(), text);
        let mut stream = model.tokenizer.stream();
        let mut shown: String = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
        shown += &stream.finish().unwrap();
        assert_eq!(shown, model.tokenizer.decode_text(ids).unwrap());
    }
    let template = model.chat_template.unwrap();
    for (chat, text) in CHATS.iter().zip(&texts[texts.len() - CHATS.len()..]) {
        assert_eq!(&template.render(&[Message::user(*chat)], Prompt::Open).unwrap(), text);
    }
}

#[test]
fn bf16_is_close_to_f32() {
    let prompt = ids_tensor(&PROMPTS[0]);
    let nll = |kind| {
        let options = LoadOptions { kind, ..LoadOptions::default() };
        let model = Pretrained::load(&smollm2_path(), &options).unwrap();
        let hidden = tch::no_grad(|| model.lm.hidden(&prompt, &Layout::Dense).unwrap());
        let logits = model.lm.logits(&hidden).squeeze_dim(0);
        let targets = prompt.squeeze_dim(0).slice(0, 1, None, 1);
        logits
            .slice(0, 0, -1, 1)
            .cross_entropy_loss::<Tensor>(&targets, None, tch::Reduction::Mean, -100, 0.0)
            .double_value(&[])
    };
    let (exact, rounded) = (nll(Kind::Float), nll(Kind::BFloat16));
    assert!((exact - rounded).abs() < 0.05, "{exact} {rounded}");
}
