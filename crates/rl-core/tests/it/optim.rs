//! AdamW against PyTorch's.

use rl_core::optim::{AdamW, AdamWConfig, EpsPlacement, ParameterGroup, global_grad_norm};
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

/// See `golden/make_adamw.py`.
#[derive(Deserialize)]
struct Golden {
    torch: String,
    lr: f64,
    factors: Vec<f64>,
    start: [Vec<f64>; 2],
    grads: Vec<[Vec<f64>; 2]>,
    norms: Vec<f64>,
    after: Vec<[Vec<f64>; 2]>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/adamw.json")).unwrap()
}

/// Same arithmetic in f64 up to the order of operations.
const F64_TOLERANCE: f64 = 1e-12;

const CONFIG: AdamWConfig = AdamWConfig {
    beta1: 0.8,
    beta2: 0.95,
    eps: 1e-6,
    eps_placement: EpsPlacement::Corrected,
    max_grad_norm: Some(2.0),
};

/// The parameters of the golden run, and their optimizer.
struct Run {
    parameters: [Tensor; 2],
    optimizer: AdamW,
}

impl Run {
    fn new(golden: &Golden, kind: Kind) -> Self {
        let leaf = |values: &[f64], shape: &[i64]| {
            Tensor::from_slice(values).view(shape).to_kind(kind).set_requires_grad(true)
        };
        let parameters = [leaf(&golden.start[0], &[3, 4]), leaf(&golden.start[1], &[5])];
        let named = |name: &str, t: &Tensor| vec![(name.to_owned(), t.shallow_clone())];
        let groups = vec![
            ParameterGroup {
                parameters: named("matrix", &parameters[0]),
                lr: golden.lr,
                weight_decay: 0.1,
            },
            ParameterGroup {
                parameters: named("vector", &parameters[1]),
                lr: 3.0 * golden.lr,
                weight_decay: 0.0,
            },
        ];
        Self { parameters, optimizer: AdamW::new(CONFIG, groups).unwrap() }
    }

    /// Gradients by way of a loss whose derivative they are.
    fn step(&mut self, golden: &Golden, step: usize) -> f64 {
        for (parameter, grad) in self.parameters.iter().zip(&golden.grads[step]) {
            let grad = Tensor::from_slice(grad).view_as(parameter).to_kind(parameter.kind());
            (parameter * grad).sum(parameter.kind()).backward();
        }
        self.optimizer.step(golden.factors[step]).unwrap()
    }

    fn values(&self) -> [Vec<f64>; 2] {
        [0, 1].map(|i| {
            Vec::try_from(self.parameters[i].detach().to_kind(Kind::Double).flatten(0, -1)).unwrap()
        })
    }
}

fn worst(a: &[Vec<f64>; 2], b: &[Vec<f64>; 2]) -> f64 {
    a.concat().iter().zip(b.concat()).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

#[test]
fn steps_equal_pytorch() {
    let golden = golden();
    assert!(golden.torch.starts_with("2.11"), "{}", golden.torch);
    let mut run = Run::new(&golden, Kind::Double);
    for step in 0..golden.grads.len() {
        let norm = run.step(&golden, step);
        assert!((norm - golden.norms[step]).abs() < F64_TOLERANCE * norm.max(1.0));
        let worst = worst(&run.values(), &golden.after[step]);
        assert!(worst < F64_TOLERANCE, "step {step}: {worst}");
    }
}

#[test]
fn steps_without_clipping_equal_the_formula_in_f64() {
    // An ε that counts, and the same with TensorFlow's ε̂, whose divisor is √v + ε before correction.
    const EPS: f64 = 1e-2;
    let golden = golden();
    for eps_placement in [EpsPlacement::Corrected, EpsPlacement::Uncorrected] {
        let mut run = Run::new(&golden, Kind::Double);
        let config = AdamWConfig { eps: EPS, eps_placement, max_grad_norm: None, ..CONFIG };
        let parameters = vec![("matrix".to_owned(), run.parameters[0].shallow_clone())];
        let group = ParameterGroup { parameters, lr: golden.lr, weight_decay: 0.1 };
        run.optimizer = AdamW::new(config, vec![group]).unwrap();
        let mut theta = golden.start[0].clone();
        let (mut m, mut v) = (vec![0.0; theta.len()], vec![0.0; theta.len()]);
        for step in 0..golden.grads.len() {
            run.step(&golden, step);
            let (lr, t) = (golden.lr * golden.factors[step], step as i32 + 1);
            for (i, g) in golden.grads[step][0].iter().enumerate() {
                theta[i] -= lr * 0.1 * theta[i];
                m[i] = 0.8 * m[i] + 0.2 * g;
                v[i] = 0.95 * v[i] + 0.05 * g * g;
                let (c1, c2) = (1.0 - 0.8f64.powi(t), 1.0 - 0.95f64.powi(t));
                theta[i] -= match eps_placement {
                    EpsPlacement::Corrected => lr * (m[i] / c1) / ((v[i] / c2).sqrt() + EPS),
                    EpsPlacement::Uncorrected => lr * c2.sqrt() / c1 * m[i] / (v[i].sqrt() + EPS),
                };
            }
            let found = &run.values()[0];
            let worst = found.iter().zip(&theta).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < F64_TOLERANCE, "{eps_placement:?}, step {step}: {worst}");
        }
    }
}

#[test]
fn a_restored_state_goes_on_to_the_bit() {
    let golden = golden();
    for kind in [Kind::Float, Kind::BFloat16, Kind::Double] {
        let mut whole = Run::new(&golden, kind);
        for step in 0..12 {
            whole.step(&golden, step);
        }
        let mut first = Run::new(&golden, kind);
        for step in 0..5 {
            first.step(&golden, step);
        }
        // By way of a file, as a killed run would.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.safetensors");
        let mut all = first.optimizer.state();
        all.extend((0..2).map(|i| (format!("parameter.{i}"), first.parameters[i].detach())));
        Tensor::write_safetensors(&all, &file).unwrap();
        let state = Tensor::read_safetensors(&file).unwrap();
        let mut second = Run::new(&golden, kind);
        second.optimizer.restore(&state).unwrap();
        for i in 0..2 {
            let saved = &state.iter().find(|(n, _)| *n == format!("parameter.{i}")).unwrap().1;
            tch::no_grad(|| second.parameters[i].shallow_clone().copy_(saved));
        }
        for step in 5..12 {
            second.step(&golden, step);
        }
        assert_eq!(second.values(), whole.values(), "{kind:?}");
    }
}

#[test]
fn small_steps_of_16_bit_weights_are_not_lost() {
    let weight = Tensor::ones([4], (Kind::BFloat16, Device::Cpu)).set_requires_grad(true);
    let group = ParameterGroup {
        parameters: vec![("w".into(), weight.shallow_clone())],
        lr: 1e-4,
        weight_decay: 0.0,
    };
    let mut optimizer = AdamW::new(AdamWConfig::default(), vec![group]).unwrap();
    for _ in 0..100 {
        weight.sum(Kind::BFloat16).backward();
        optimizer.step(1.0).unwrap();
    }
    // Each step of 1e-4 is below the spacing of bf16 at 1, which is 4e-3.
    let value = weight.double_value(&[0]);
    assert!((value - 0.99).abs() < 4e-3, "{value}");
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let golden = golden();
    let mut run = Run::new(&golden, Kind::Float);
    run.step(&golden, 0);
    let (before, state) = (run.values(), run.optimizer.state());
    let copies: Vec<Tensor> = state.iter().map(|(_, t)| t.copy()).collect();
    (&run.parameters[0] * f64::NAN).sum(Kind::Float).backward();
    let message = run.optimizer.step(1.0).unwrap_err().to_string();
    assert!(message.starts_with("the gradient's norm is NaN at step 1"), "{message}");
    assert_eq!(run.values(), before);
    for ((name, tensor), copy) in run.optimizer.state().iter().zip(copies) {
        assert_eq!(*tensor, copy, "{name}");
    }
    assert!(global_grad_norm(&run.parameters) == 0.0, "the gradients must be forgotten");
}

#[test]
fn bad_settings_and_states_are_refused() {
    let parameter = Tensor::zeros([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let group = |names: &[&str], lr| ParameterGroup {
        parameters: names.iter().map(|n| ((*n).to_owned(), parameter.shallow_clone())).collect(),
        lr,
        weight_decay: 0.0,
    };
    let message = |config, groups| AdamW::new(config, groups).unwrap_err().to_string();
    let config = AdamWConfig { beta2: 1.0, ..AdamWConfig::default() };
    assert_eq!(message(config, vec![]), "beta2: expected a number in [0, 1), found 1");
    let config = AdamWConfig::default();
    assert_eq!(
        message(config, vec![group(&["w"], f64::NAN)]),
        "lr: expected a finite number, not below 0, found NaN"
    );
    assert_eq!(message(config, vec![group(&["w", "w"], 0.1)]), "parameter w is given twice");
    let mut optimizer = AdamW::new(config, vec![group(&["w"], 0.1)]).unwrap();
    let mut state = optimizer.state();
    state[2].1 = Tensor::zeros([3], (Kind::Float, Device::Cpu));
    assert_eq!(
        optimizer.restore(&state).unwrap_err().to_string(),
        "saved optimizer state: exp_avg_sq.w: expected Float [2], found Float [3]"
    );
}
