//! The mathematics: identities of the plain forms, tensors against them, both against `TorchRL`.

mod golden;
#[cfg(feature = "torch")]
mod gradients;
mod identities;
#[cfg(feature = "torch")]
mod tensors;
mod trajectory;

/// Equal to a tolerance that is relative beyond 1, NaN nowhere.
#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * e.abs().max(1.0),
            "at {i}: found {f}, expected {e}\n{found:?}\n{expected:?}"
        );
    }
}
