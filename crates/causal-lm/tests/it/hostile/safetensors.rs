//! Safetensors files and indexes that are wrong on purpose.

use std::path::Path;

use causal_lm::weights::SafetensorsSource;

use crate::foreign::safetensors;

#[test]
fn wrong_safetensors_headers_are_refused_in_a_sentence() {
    let one = |entry: &str| format!(r#"{{"x":{entry}}}"#);
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{offsets}]}}"#)
    };
    let fine = entry("F32", "2", "0,8");
    let refusal = |header: &str| {
        let bytes = safetensors(header, 8);
        match SafetensorsSource::from_bytes(bytes, Path::new("m.safetensors")) {
            Ok(_) => "read".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(refusal(&one(&fine)), "read");
    for (header, says) in [
        (format!(r#"{{"x":{fine},"\u0078":{fine}}}"#), "found a second entry \"x\""),
        (
            format!(r#"{{"x":{},"y":{}}}"#, entry("F32", "1", "0,4"), entry("F32", "1", "2,6")),
            "y: expected data_offsets [4, 8], for F32 of shape [1] after the tensors before it",
        ),
        (
            format!(r#"{{"x":{},"y":{}}}"#, entry("F32", "1", "0,4"), entry("BF16", "1", "6,8")),
            "y: expected data_offsets [4, 6], for BF16 of shape [1]",
        ),
        (
            one(&entry("F32", "1", "0,4")),
            "data: expected 4 bytes of data, as the header says, found 8",
        ),
        (one(&entry("F32", "4", "0,16")), "x: expected at most the file's 8 bytes of data"),
        (one(&entry("F32", "2", "8,0")), "found [8, 0]"),
        (one(&entry("F32", "3", "0,8")), "x: expected at most the file's 8 bytes of data"),
        (one(&entry("BF16", "2", "0,8")), "expected data_offsets [0, 4], for BF16 of shape [2]"),
        (one(&entry("F64", "4294967296,4294967296", "0,8")), "found F64 of shape [4294967296"),
        (
            one(&entry("F32", "4611686018427387904", "0,18446744073709551615")),
            "x: expected at most the file's 8 bytes of data",
        ),
        (one(&entry("I64", "1", "0,8")), "x: expected F32, F16, BF16 or F64, found I64"),
        (one(&entry("F8_E4M3", "8", "0,8")), "x: expected F32, F16, BF16 or F64, found F8_E4M3"),
        (one(&entry("Q4", "8", "0,8")), "x: expected dtype, shape and data_offsets, found unknown"),
        (one(&entry("F32", "-2", "0,8")), "x: expected dtype, shape and data_offsets, found"),
        (one("null"), "x: expected dtype, shape and data_offsets, found"),
        ("[]".to_owned(), "header: expected a JSON object of distinct tensors, found invalid type"),
        ("{".to_owned(), "header: expected a JSON object of distinct tensors, found EOF"),
    ] {
        let message = refusal(&header);
        let sound = message.starts_with("m.safetensors: ") && message.contains(says);
        assert!(sound, "{says}\n{message}");
    }
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let error = SafetensorsSource::from_bytes(huge, Path::new("m")).unwrap_err().to_string();
    assert_eq!(
        error,
        "m: header: expected a length of at most 2 bytes, found 18446744073709551615; is the file \
         truncated?"
    );
}

#[test]
fn wrong_index_files_are_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let shard = |name: &str| {
        let entry = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
        safetensors(&format!(r#"{{"{name}":{entry}}}"#), 4)
    };
    write("a", &shard("x"));
    write("b", &shard("x"));
    write("c", &shard("y"));
    let refusal = |index: &str| {
        write("model.safetensors.index.json", index.as_bytes());
        match SafetensorsSource::open_folder(folder.path()) {
            Ok(_) => "read".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(refusal(r#"{"weight_map": {"x": "a", "y": "c"}}"#), "read");
    let long = "a".repeat(256);
    for name in [
        &long,
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "",
        "/",
        "sub/a",
        "./a",
        "a/",
        ".hidden",
        r"..\\a",
        r"a\u0000",
        r"a\nb",
    ] {
        let message = refusal(&format!(r#"{{"weight_map": {{"x": "{name}"}}}}"#));
        let says = "index.json: weight_map: expected names of files in the same folder, found \"";
        assert!(message.contains(says) && !message.contains('\n'), "{message}");
    }
    for (index, says) in [
        (r#"{"weight_map": {"x": "absent"}}"#, "absent: No such file"),
        (r#"{"weight_map": {"z": "a"}}"#, "weight_map: expected tensor z in a, as the index says"),
        (r#"{"weight_map": {"x": "a", "y": "a"}}"#, "expected tensor y in a, as the index says"),
        (r#"{"weight_map": {"x": "a", "y": "b"}}"#, "b: x: expected each tensor in one file only"),
        (r#"{"weight_map": {"x": "a", "x": "b"}}"#, "found a second entry \"x\""),
        (r#"{"weight_map": ["a"]}"#, "weight_map: expected an object of file names, found"),
        (r"{}", "weight_map: expected an object of file names, found missing field"),
    ] {
        let message = refusal(index);
        assert!(message.contains(says), "{says}\n{message}");
    }
}
