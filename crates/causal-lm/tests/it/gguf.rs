//! Stored blocks against the reference, to the bit.

use causal_lm::gguf::QuantKind;
use tch::Kind;

use crate::common::{Golden, golden};

#[test]
fn dequantized_blocks_equal_the_reference_to_the_bit() {
    let golden = Golden::open(&golden("gguf_quants.safetensors"));
    for (name, code) in [
        ("F32", 0),
        ("F16", 1),
        ("Q4_0", 2),
        ("Q4_1", 3),
        ("Q5_0", 6),
        ("Q5_1", 7),
        ("Q8_0", 8),
        ("Q4_K", 12),
        ("Q5_K", 13),
        ("Q6_K", 14),
        ("BF16", 30),
    ] {
        let bytes = golden.get(&format!("bytes.{name}")).to_kind(Kind::Uint8);
        let bytes: Vec<u8> = Vec::try_from(bytes).unwrap();
        let expected: Vec<f32> = Vec::try_from(golden.get(&format!("values.{name}"))).unwrap();
        let found = QuantKind::from_code(code).unwrap().dequantize(&bytes);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found), bits(&expected), "{name}");
    }
}
