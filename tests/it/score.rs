//! `lm score`.

use forthright_tests::objects;
use serde_json::Value;

#[test]
fn scores_add_up_and_contexts_condition() {
    let input = "{\"id\": 1, \"text\": \"The cat sat on the mat.\"}\n\n\
         {\"id\": \"b\", \"context\": \"The capital of France is\", \"continuation\": \" Paris\"}\n\
         {\"id\": \"c\", \"context\": \"The capital of France is\", \"continuation\": \" cheese\"}\n";
    let found = objects(&["lm", "score", "--input", "-"], input);
    assert_eq!(found.len(), 3);
    for object in &found {
        let scores: Vec<f64> = serde_json::from_value(object["token_log_probs"].clone()).unwrap();
        let sum: f64 = scores.iter().sum();
        assert!((sum - object["sum"].as_f64().unwrap()).abs() < 1e-6);
        assert!(scores.iter().all(|&s| s <= 0.0));
    }
    // A text is scored from its second token on, a continuation from its first.
    let len = |o: &Value, key: &str| o[key].as_array().unwrap().len();
    assert_eq!(len(&found[0], "token_log_probs") + 1, len(&found[0], "ids"));
    assert_eq!(len(&found[1], "token_log_probs"), len(&found[1], "ids"));
    assert!(found[1]["sum"].as_f64() > found[2]["sum"].as_f64());
}
