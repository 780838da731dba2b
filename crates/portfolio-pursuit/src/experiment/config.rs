//! What is compared, and on what.

use serde::{Deserialize, Serialize};

use crate::{
    EpochConfig, Error, SyntheticConfig,
    baseline::PUBLISHED_STRENGTH,
    models::{PublishedBidsConfig, StructuralBidsConfig},
    pursuit::{
        BackwardConfig, FluidConfig, MirrorConfig, PacingConfig, TableConfig, UpperBoundConfig,
    },
};

/// The published protocol with the arms of one's choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ExperimentConfig {
    /// First trial; trial i has the seed 100 (i + 1).
    pub first_trial: u64,
    /// Number of trials, each a world of its own: six firms that learn from each other, categories and
    /// a target. At least 2 for intervals.
    pub trials: usize,
    /// Epochs in which firms learn, at least 1.
    pub burn_in: u64,
    /// Burn-in epochs, counted from 1, after which all firms are fitted again; the last is among them.
    pub fit_after: Vec<u64>,
    /// Newest epochs that firms are fitted to, at least 1.
    pub memory: u64,
    /// Epochs in which arms are compared, at least 1.
    pub test_epochs: u64,
    /// Size of an epoch and range of offers.
    pub epoch: EpochConfig,
    /// The market.
    pub market: SyntheticConfig,
    /// Categories of a target, at least 1.
    pub categories: usize,
    /// Chance of each factor by which offers are moved at random, in the burn-in, of rivals always and
    /// of arms that explore; from 0 to 1/6.
    pub exploration: f64,
    /// Loss scales, £: every arm is run at each.
    pub loss_scales: Vec<f64>,
    /// Bids of all firms in the burn-in, and of rivals ever after.
    pub published: PublishedBidsConfig,
    /// Our bids.
    pub structural: StructuralBidsConfig,
    /// Customers of known probability that [`BidsOf::Informed`] are fitted to, at least 100; prices of
    /// rivals and probabilities are the market's own.
    pub informed_customers: u32,
    /// Past customers that plans are made for, at least 1: the newest.
    pub planning_customers: usize,
    /// Our pursuit.
    pub table: TableConfig,
    /// The published one.
    pub linear: BackwardConfig,
    /// The same with hinges.
    pub hinges: BackwardConfig,
    /// Static plans.
    pub fluid: FluidConfig,
    /// Controllers.
    pub pacing: PacingConfig,
    /// Mirror descent.
    pub mirror: MirrorConfig,
    /// The search for what no arm can exceed.
    pub upper_bound: UpperBoundConfig,
    /// What is compared.
    pub arms: Vec<Arm>,
}

impl Default for ExperimentConfig {
    /// 24 trials as published, in the prototype's size: reduced models, fitted after every other epoch.
    fn default() -> Self {
        Self {
            first_trial: 0,
            trials: 24,
            burn_in: 6,
            fit_after: vec![2, 4, 6],
            memory: 4,
            test_epochs: 12,
            epoch: EpochConfig::default(),
            market: SyntheticConfig::default(),
            categories: 5,
            exploration: 0.02,
            loss_scales: vec![2000.0, 5000.0, 10_000.0],
            published: PublishedBidsConfig::reduced(),
            structural: StructuralBidsConfig::default(),
            informed_customers: 20_000,
            planning_customers: 4000,
            table: TableConfig::default(),
            linear: BackwardConfig::default(),
            hinges: BackwardConfig::hinges(),
            fluid: FluidConfig::default(),
            pacing: PacingConfig::default(),
            mirror: MirrorConfig::default(),
            upper_bound: UpperBoundConfig::default(),
            arms: Arm::all(),
        }
    }
}

impl ExperimentConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, count) in [
            ("trials", self.trials as u64),
            ("burn_in", self.burn_in),
            ("memory", self.memory),
            ("test_epochs", self.test_epochs),
            ("categories", self.categories as u64),
            ("planning_customers", self.planning_customers as u64),
        ] {
            Error::check(name, "at least 1", count, count >= 1)?;
        }
        let known = self.informed_customers;
        Error::check("informed_customers", "at least 100", known, known >= 100)?;
        let last = self.fit_after.iter().max().copied().unwrap_or(0);
        let expected = "epochs of the burn-in, its last among them";
        let held = last == self.burn_in && self.fit_after.iter().all(|e| *e >= 1);
        Error::check("fit_after", expected, format!("{:?}", self.fit_after), held)?;
        let chance = self.exploration;
        let held = (0.0..=1.0 / 6.0).contains(&chance);
        Error::check("exploration", "a number from 0 to 1/6", chance, held)?;
        for scale in &self.loss_scales {
            let held = *scale >= 0.0 && scale.is_finite();
            Error::check("loss_scales", "finite numbers, not below 0", scale, held)?;
        }
        Error::check("loss_scales", "at least one", 0, !self.loss_scales.is_empty())?;
        for (place, arm) in self.arms.iter().enumerate() {
            let held = arm.loading.is_finite() && arm.loading.abs() < 1.0;
            Error::check("arms.loading", "a number between -1 and 1", arm.loading, held)?;
            let first = !self.arms[..place].contains(arm);
            Error::check("arms", "arms that differ", format!("{} twice", arm.name()), first)?;
            if let Way::Multiplier { beta } = arm.way {
                Error::check("arms.beta", "a finite number", beta, beta.is_finite())?;
            }
            if let Way::Resolve { every } = arm.way {
                Error::check("arms.every", "at least 1", every, every >= 1)?;
            }
        }
        self.epoch.validate()?;
        self.market.validate()?;
        self.published.validate()?;
        self.structural.validate()?;
        self.table.validate()?;
        self.linear.validate()?;
        self.hinges.validate()?;
        self.fluid.validate()?;
        self.pacing.validate()?;
        self.mirror.validate()?;
        self.upper_bound.validate()
    }
}

/// Whose bids an arm makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BidsOf {
    /// [`PublishedBids`](crate::models::PublishedBids), fitted to the firm's own history.
    Published,
    /// [`StructuralBids`](crate::models::StructuralBids), fitted to the same.
    Structural,
    /// The same model fitted to very many customers whose true probabilities are given: what a firm
    /// would bid that has nothing left to learn from history.
    Informed,
}

/// How an arm pursues its target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Way {
    /// Not at all.
    Myopic,
    /// The industry's factors.
    Multiplier {
        /// Size of the factors; 0.02 is published.
        beta: f64,
    },
    /// Backward induction with a linear step, as published.
    Linear,
    /// Backward induction with hinges.
    Hinges,
    /// Our tables.
    Table,
    /// A static plan.
    Static,
    /// A static plan that is made again.
    Resolve {
        /// After so many customers.
        every: u32,
    },
    /// Controllers around a static plan.
    Pacing,
    /// Mirror descent from nothing.
    MirrorFromZero,
    /// Mirror descent from a static plan.
    MirrorFromPlan,
}

impl Way {
    /// Whether what it offers depends on the loss.
    pub(crate) fn sees_loss(self) -> bool {
        !matches!(self, Self::Myopic | Self::Multiplier { .. })
    }
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Whose bids.
    pub bids: BidsOf,
    /// How it pursues the target.
    pub way: Way,
    /// Whether it explores in the test, as the published baseline does and the published pursuit does
    /// not.
    #[serde(default)]
    pub explores: bool,
    /// By how much the own cost is loaded when bidding, as a share: every way plans and bids as if a
    /// sale cost `1 + loading` times the estimate. Against the winner's curse, since the firm that errs
    /// low about the cost wins; profit is booked on the plain estimate all the same.
    #[serde(default)]
    pub loading: f64,
}

impl Arm {
    /// An arm that neither explores nor loads.
    pub fn new(bids: BidsOf, way: Way) -> Self {
        Self { bids, way, explores: false, loading: 0.0 }
    }

    /// What it is to be compared with: the published industry factors on the same bids, exploring and
    /// loading as it does, and the same without loading; never itself.
    pub fn baselines(&self) -> Vec<Self> {
        let way = Way::Multiplier { beta: PUBLISHED_STRENGTH };
        let plain = Self { way, loading: 0.0, ..*self };
        let alike = Self { way, ..*self };
        let mut baselines = vec![alike, plain];
        baselines.dedup();
        baselines.retain(|baseline| baseline != self);
        baselines
    }

    /// Short and unique: `structural.table`, `published.multiplier_0.02.explores`,
    /// `structural.table.loading_0.02`.
    pub fn name(&self) -> String {
        let bids = match self.bids {
            BidsOf::Published => "published",
            BidsOf::Structural => "structural",
            BidsOf::Informed => "informed",
        };
        let way = match self.way {
            Way::Myopic => "myopic".to_owned(),
            Way::Multiplier { beta } => format!("multiplier_{beta}"),
            Way::Linear => "linear".to_owned(),
            Way::Hinges => "hinges".to_owned(),
            Way::Table => "table".to_owned(),
            Way::Static => "static".to_owned(),
            Way::Resolve { every } => format!("resolve_{every}"),
            Way::Pacing => "pacing".to_owned(),
            Way::MirrorFromZero => "mirror_from_zero".to_owned(),
            Way::MirrorFromPlan => "mirror_from_plan".to_owned(),
        };
        let explores = if self.explores { ".explores" } else { "" };
        let loading =
            if self.loading == 0.0 { String::new() } else { format!(".loading_{}", self.loading) };
        format!("{bids}.{way}{explores}{loading}")
    }

    /// The arm of that name, among those that [`Arm::name`] can give.
    pub fn named(name: &str) -> Option<Self> {
        let (bids, rest) = name.split_once('.')?;
        let bids = match bids {
            "published" => BidsOf::Published,
            "structural" => BidsOf::Structural,
            "informed" => BidsOf::Informed,
            _ => return None,
        };
        let (rest, loading) = match rest.split_once(".loading_") {
            Some((rest, loading)) => (rest, loading.parse().ok()?),
            None => (rest, 0.0),
        };
        let (rest, explores) = match rest.strip_suffix(".explores") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let number = |prefix: &str| rest.strip_prefix(prefix)?.parse::<f64>().ok();
        let way = match rest {
            "myopic" => Way::Myopic,
            "linear" => Way::Linear,
            "hinges" => Way::Hinges,
            "table" => Way::Table,
            "static" => Way::Static,
            "pacing" => Way::Pacing,
            "mirror_from_zero" => Way::MirrorFromZero,
            "mirror_from_plan" => Way::MirrorFromPlan,
            _ => match (number("multiplier_"), number("resolve_")) {
                (Some(beta), _) => Way::Multiplier { beta },
                (_, Some(every)) if every >= 1.0 => Way::Resolve { every: every as u32 },
                _ => return None,
            },
        };
        let arm = Self { bids, way, explores, loading };
        (arm.name() == name).then_some(arm)
    }

    /// All that the results speak of.
    pub fn all() -> Vec<Self> {
        use BidsOf::{Informed, Published, Structural};
        let baseline = Way::Multiplier { beta: 0.02 };
        let mut arms = Vec::new();
        for way in [Way::Myopic, baseline, Way::Linear, Way::Table] {
            arms.push(Self::new(Published, way));
        }
        for way in [Way::Myopic, baseline] {
            arms.push(Self { explores: true, ..Self::new(Published, way) });
        }
        for way in [
            Way::Myopic,
            Way::Multiplier { beta: 0.01 },
            baseline,
            Way::Multiplier { beta: 0.05 },
            Way::Linear,
            Way::Hinges,
            Way::Static,
            Way::Resolve { every: 50 },
            Way::Pacing,
            Way::MirrorFromZero,
            Way::MirrorFromPlan,
            Way::Table,
        ] {
            arms.push(Self::new(Structural, way));
        }
        for way in [baseline, Way::Table] {
            arms.push(Self { explores: true, ..Self::new(Structural, way) });
            arms.push(Self { loading: 0.02, ..Self::new(Structural, way) });
        }
        for way in [Way::Myopic, baseline, Way::Table] {
            arms.push(Self::new(Informed, way));
        }
        arms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_names_are_unique() {
        let config = ExperimentConfig::default();
        config.validate().unwrap();
        let mut names: Vec<String> = config.arms.iter().map(Arm::name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), config.arms.len());
    }

    #[test]
    fn every_name_is_read_again() {
        for arm in Arm::all() {
            assert_eq!(Arm::named(&arm.name()), Some(arm));
        }
        for bad in ["table", "ours.table", "structural.tables", "structural.resolve_0", "informed."]
        {
            assert_eq!(Arm::named(bad), None, "{bad}");
        }
    }

    #[test]
    fn arms_are_compared_with_the_industry_loaded_alike_and_not() {
        let names = |name: &str| -> Vec<String> {
            Arm::named(name).unwrap().baselines().iter().map(Arm::name).collect()
        };
        let plain = "structural.multiplier_0.02";
        let loaded = "structural.multiplier_0.02.loading_0.03";
        assert_eq!(names("structural.table"), [plain]);
        assert_eq!(names("structural.table.loading_0.03"), [loaded, plain]);
        assert_eq!(names(loaded), [plain]);
        assert!(names(plain).is_empty());
        assert_eq!(names("published.linear.explores"), ["published.multiplier_0.02.explores"]);
    }

    #[test]
    fn arms_load_nothing_unless_they_say_so() {
        let arm: Arm = serde_json::from_str(r#"{"bids": "informed", "way": "table"}"#).unwrap();
        assert_eq!(arm, Arm::new(BidsOf::Informed, Way::Table));
        let text = r#"{"bids": "published", "way": "linear", "loading": 0.02}"#;
        let arm: Arm = serde_json::from_str(text).unwrap();
        assert_eq!(arm.name(), "published.linear.loading_0.02");
    }

    #[test]
    fn bad_settings_are_named() {
        let says = |change: &dyn Fn(&mut ExperimentConfig)| {
            let mut config = ExperimentConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(says(&|c| c.trials = 0).contains("trials: expected at least 1, found 0"));
        assert!(says(&|c| c.fit_after = vec![2]).contains("fit_after"));
        assert!(says(&|c| c.exploration = 0.2).contains("exploration"));
        assert!(says(&|c| c.loss_scales = vec![f64::NAN]).contains("loss_scales"));
        assert!(says(&|c| c.arms.push(c.arms[0])).contains("published.myopic twice"));
        assert!(says(&|c| c.arms[0].loading = 2.0).contains("arms.loading"));
    }
}
