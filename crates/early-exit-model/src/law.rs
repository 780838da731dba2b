//! The distribution over exits: a stick that is broken site by site.

use tch::{Kind, Tensor};

use crate::{Error, sites::Sites};

/// For a number of tokens, the probability of leaving at each site, given that the token is still
/// there; kept as logarithms of both answers.
///
/// ```text
/// q(l) = p_l ∏_{m < l} (1 − p_m)        q(never) = ∏_m (1 − p_m)
/// ```
///
/// Logarithms stay finite where the probabilities do not: a gate's logit of ±50 gives log p = −50.
/// The plain forms in f64 are in [`crate::reference`].
#[derive(Debug)]
pub struct ExitLaw {
    /// log p, `[n, sites]`, f32.
    go: Tensor,
    /// log (1 − p), `[n, sites]`, f32.
    stay: Tensor,
}

impl ExitLaw {
    /// The law of gates: `p = σ(logit)`.
    ///
    /// # Shapes
    /// - `logits`: `[n, sites]`, f32, with gradient
    pub fn of_gates(logits: &Tensor) -> Self {
        Self { go: logits.log_sigmoid(), stay: (-logits).log_sigmoid() }
    }

    /// The law that a teacher's divergences suggest.
    ///
    /// ```text
    /// p = 2 − 2σ(κD) = 1 − tanh(κD/2)
    /// log p = log 2 + log σ(−κD)        log (1 − p) = log(1 − e^{−κD}) − log(1 + e^{−κD})
    /// ```
    ///
    /// D = 0 gives p = 1. Source: arXiv 2603.21376, calibration, in its authors' code.
    ///
    /// # Shapes
    /// - `divergences`: `[n, sites]`, nats, not negative
    pub fn of_divergences(divergences: &Tensor, kappa: f64) -> Self {
        let scaled = divergences * kappa;
        let go = (-&scaled).log_sigmoid() + std::f64::consts::LN_2;
        // −expm1 keeps small divergences apart from none.
        let stay = (-(-&scaled).expm1()).log() - (-&scaled).exp().log1p();
        Self { go, stay }
    }

    /// Number of tokens.
    pub fn tokens(&self) -> i64 {
        self.go.size()[0]
    }

    /// Logarithms of the outcomes' probabilities.
    ///
    /// # Shapes
    /// - returns: `[n, sites + 1]`, never last, with gradient
    pub fn log_probs(&self) -> Tensor {
        let reached = self.stay.cumsum(-1, Kind::Float); // log of still being there after each site
        let sites = self.go.size()[1];
        let before = reached.narrow(-1, 0, sites - 1).constant_pad_nd([1, 0]);
        Tensor::cat(&[before + &self.go, reached.narrow(-1, sites - 1, 1)], -1)
    }

    /// Logarithms of the probabilities of given outcomes.
    ///
    /// Sites after the one that a token left at have no part in it and get no gradient, whatever
    /// their gates say.
    ///
    /// # Shapes
    /// - `outcomes`: `[n]`, i64, `sites` being never
    /// - returns: `[n]`, with gradient
    pub fn log_prob(&self, outcomes: &Tensor) -> Tensor {
        let at = self.site_numbers();
        let outcomes = outcomes.unsqueeze(1);
        let zero = self.go.zeros_like();
        let stayed = self.stay.where_self(&at.lt_tensor(&outcomes), &zero);
        let went = self.go.where_self(&at.eq_tensor(&outcomes), &zero);
        (stayed + went).sum_dim_intlist(-1, false, Kind::Float)
    }

    /// Draws outcomes: the first site at which `u < p`.
    ///
    /// # Shapes
    /// - `uniforms`: `[n, sites]`, numbers in [0, 1)
    /// - returns: `[n]`, i64
    pub fn sample(&self, uniforms: &Tensor) -> Tensor {
        first(&uniforms.lt_tensor(&self.go.exp()))
    }

    /// The first site whose probability, given that the token is there, exceeds `least`; never if
    /// none does. `[n]`, i64.
    pub fn threshold(&self, least: f64) -> Tensor {
        first(&self.go.exp().gt(least))
    }

    /// The more likely answer at every site in turn: [`ExitLaw::threshold`] at one half.
    pub fn greedy(&self) -> Tensor {
        self.threshold(0.5)
    }

    /// The most probable outcome; of equal ones the first. Looks at all sites, those behind the exit
    /// too. `[n]`, i64.
    pub fn argmax(&self) -> Tensor {
        self.log_probs().argmax(-1, false)
    }

    /// Expected number of blocks that run.
    ///
    /// # Shapes
    /// - returns: `[n]`, f32, with gradient
    ///
    /// # Errors
    /// [`Error::Shape`] if there are not as many sites.
    pub fn expected_blocks(&self, sites: &Sites) -> Result<Tensor, Error> {
        let found = self.go.size()[1];
        if found != sites.len() as i64 {
            let expected = sites.len().to_string();
            return Err(Error::Shape {
                what: "sites of the law",
                expected,
                found: found.to_string(),
            });
        }
        let executed: Vec<f32> = sites.executed().iter().map(|&blocks| blocks as f32).collect();
        let executed = Tensor::from_slice(&executed).to_device(self.go.device());
        Ok((self.log_probs().exp() * executed).sum_dim_intlist(-1, false, Kind::Float))
    }

    fn site_numbers(&self) -> Tensor {
        Tensor::arange(self.go.size()[1], (Kind::Int64, self.go.device())).unsqueeze(0)
    }
}

/// The first true of every row; the number of columns if there is none. `[n]`, i64.
fn first(flags: &Tensor) -> Tensor {
    let passed = flags.to_kind(Kind::Int64).cumsum(-1, Kind::Int64);
    passed.eq(0).sum_dim_intlist(-1, false, Kind::Int64)
}
