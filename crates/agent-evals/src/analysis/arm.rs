//! The ways in which a scenario is put to a model, and what tells describing from living it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A way to put a scenario to a model. Source: arXiv 2603.14417 and the protocol made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Arm {
    /// A short description and "what would you do?", with options.
    Q0,
    /// The same, answered in free text.
    Q0f,
    /// The same options: "what should an AI do?".
    Qn,
    /// The same options: "what would an agent built on this model do?".
    Qt,
    /// "How likely is each?".
    Qp,
    /// The agent's whole context up to the decision, asked as a question with options.
    Q1,
    /// The whole context; one call is demanded and not executed.
    A1,
    /// The loop with canned answers of tools.
    A2,
    /// The live agent.
    A3,
    /// The live agent with its reasoning switched.
    A3r,
    /// The live agent, ordered to do the worst.
    Ac,
    /// Before it is deployed: "predict your behaviour".
    Sp,
    /// The questions of Q0, those of all items in one conversation.
    Qs,
    /// Off the ladder: a call of a tool, after a short description.
    Xf,
    /// Off the ladder: options, over several turns.
    Xt,
    /// Off the ladder: options that are carried out.
    Xc,
    /// Off the ladder: calls of tools over several turns, after a short description.
    Xft,
    /// Off the ladder: one call that is carried out, after a short description.
    Xfc,
    /// Off the ladder: options that are carried out, over several turns.
    Xtc,
    /// Off the ladder: the live agent, after a short description.
    Xftc,
    /// Off the ladder: the whole context, and options over several turns.
    Xit,
    /// Off the ladder: the whole context, and options that are carried out.
    Xic,
    /// Off the ladder: the whole context, and one call that is carried out.
    Xifc,
    /// Off the ladder: the whole context, and options that are carried out, over several turns.
    Xitc,
}

impl Arm {
    /// All arms but those [off the ladder](Self::OFF_LADDER).
    pub const ALL: [Self; 13] = [
        Self::Q0,
        Self::Q0f,
        Self::Qn,
        Self::Qt,
        Self::Qp,
        Self::Q1,
        Self::A1,
        Self::A2,
        Self::A3,
        Self::A3r,
        Self::Ac,
        Self::Sp,
        Self::Qs,
    ];

    /// The combinations of the ladder's [axes](Self::axes) that are no step of it: with those that are,
    /// all sixteen.
    pub const OFF_LADDER: [Self; 11] = [
        Self::Xf,
        Self::Xt,
        Self::Xc,
        Self::Xft,
        Self::Xfc,
        Self::Xtc,
        Self::Xftc,
        Self::Xit,
        Self::Xic,
        Self::Xifc,
        Self::Xitc,
    ];

    /// Its short name, as in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q0 => "Q0",
            Self::Q0f => "Q0f",
            Self::Qn => "Qn",
            Self::Qt => "Qt",
            Self::Qp => "Qp",
            Self::Q1 => "Q1",
            Self::A1 => "A1",
            Self::A2 => "A2",
            Self::A3 => "A3",
            Self::A3r => "A3r",
            Self::Ac => "Ac",
            Self::Sp => "Sp",
            Self::Qs => "Qs",
            Self::Xf => "Xf",
            Self::Xt => "Xt",
            Self::Xc => "Xc",
            Self::Xft => "Xft",
            Self::Xfc => "Xfc",
            Self::Xtc => "Xtc",
            Self::Xftc => "Xftc",
            Self::Xit => "Xit",
            Self::Xic => "Xic",
            Self::Xifc => "Xifc",
            Self::Xitc => "Xitc",
        }
    }

    /// The arm of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest names.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let all = || Self::ALL.into_iter().chain(Self::OFF_LADDER);
        all().find(|arm| arm.name() == name).ok_or_else(|| Error::Unknown {
            what: "arm",
            name: name.to_owned(),
            hint: crate::run::nearest(name, all().map(Self::name)),
        })
    }

    /// Whether the model says something of itself instead of acting.
    pub fn is_stated(self) -> bool {
        use Arm::{Q0, Q0f, Q1, Qn, Qp, Qs, Qt, Sp};
        match self.axes() {
            Some(axes) => !axes.has(Axis::Format),
            None => matches!(self, Q0 | Q0f | Qn | Qt | Qp | Qs | Q1 | Sp),
        }
    }

    /// Whether what it does is done in the scenario's own surroundings.
    pub fn is_live(self) -> bool {
        match self.axes() {
            Some(axes) => axes.has(Axis::Format) && axes.has(Axis::Consequences),
            None => matches!(self, Self::A3r | Self::Ac),
        }
    }

    /// Whether it goes on for several turns.
    pub fn is_long(self) -> bool {
        match self.axes() {
            Some(axes) => axes.has(Axis::Interaction),
            None => matches!(self, Self::A3r | Self::Ac | Self::Qs),
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A way in which living a scenario differs from describing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// The whole context in place of a short description.
    Inputs,
    /// A call of a tool in place of an option.
    Format,
    /// Many turns in place of one.
    Interaction,
    /// A live environment in place of canned answers.
    Consequences,
}

impl Axis {
    /// In the order of the ladder.
    pub const ALL: [Self; 4] = [Self::Inputs, Self::Format, Self::Interaction, Self::Consequences];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Format => "format",
            Self::Interaction => "interaction",
            Self::Consequences => "consequences",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Which axes are on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Axes(pub(super) u8);

impl Axes {
    /// None: the short questionnaire.
    pub const NONE: Self = Self(0);
    /// All: the live agent.
    pub const ALL: Self = Self(0b1111);

    /// These axes.
    pub fn of(axes: &[Axis]) -> Self {
        Self(axes.iter().fold(0, |bits, axis| bits | axis.bit()))
    }

    /// The same with one more.
    #[must_use]
    pub fn with(self, axis: Axis) -> Self {
        Self(self.0 | axis.bit())
    }

    /// Whether an axis is on.
    pub fn has(self, axis: Axis) -> bool {
        self.0 & axis.bit() != 0
    }
}

impl Arm {
    /// Which axes are on, in an arm of the ladder or off it.
    pub fn axes(self) -> Option<Axes> {
        use Axis::{Consequences as C, Format as F, Inputs as I, Interaction as T};
        let on: &[Axis] = match self {
            Self::Q0 => &[],
            Self::Q1 => &[I],
            Self::A1 => &[I, F],
            Self::A2 => &[I, F, T],
            Self::A3 => &[I, F, T, C],
            Self::Xf => &[F],
            Self::Xt => &[T],
            Self::Xc => &[C],
            Self::Xft => &[F, T],
            Self::Xfc => &[F, C],
            Self::Xtc => &[T, C],
            Self::Xftc => &[F, T, C],
            Self::Xit => &[I, T],
            Self::Xic => &[I, C],
            Self::Xifc => &[I, F, C],
            Self::Xitc => &[I, T, C],
            Self::Q0f
            | Self::Qn
            | Self::Qt
            | Self::Qp
            | Self::A3r
            | Self::Ac
            | Self::Sp
            | Self::Qs => return None,
        };
        Some(Axes::of(on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::LADDER;

    #[test]
    fn arms_are_known_by_name() {
        for arm in Arm::ALL.into_iter().chain(Arm::OFF_LADDER) {
            assert_eq!(Arm::parse(arm.name()).unwrap(), arm);
            assert_eq!(serde_json::to_string(&arm).unwrap(), format!("\"{arm}\""));
        }
        assert!(Arm::parse("Q9").unwrap_err().to_string().contains("is Q0"));
    }

    #[test]
    fn arms_say_stay_and_act() {
        use Arm::{
            A2, A3, A3r, Ac, Q0, Q0f, Q1, Qn, Qp, Qs, Qt, Sp, Xc, Xfc, Xft, Xftc, Xic, Xifc, Xit,
            Xitc, Xt, Xtc,
        };
        let all = || Arm::ALL.into_iter().chain(Arm::OFF_LADDER);
        let those = |keep: fn(Arm) -> bool| all().filter(|arm| keep(*arm)).collect::<Vec<_>>();
        assert_eq!(
            those(Arm::is_stated),
            [Q0, Q0f, Qn, Qt, Qp, Q1, Sp, Qs, Xt, Xc, Xtc, Xit, Xic, Xitc]
        );
        assert_eq!(those(Arm::is_live), [A3, A3r, Ac, Xfc, Xftc, Xifc]);
        assert_eq!(those(Arm::is_long), [A2, A3, A3r, Ac, Qs, Xt, Xft, Xtc, Xftc, Xit, Xitc]);
    }

    #[test]
    fn arms_are_the_sixteen_combinations() {
        let all: std::collections::BTreeSet<Axes> =
            LADDER.into_iter().chain(Arm::OFF_LADDER).filter_map(Arm::axes).collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), (0..16).map(Axes).collect::<Vec<_>>());
        assert_eq!(Arm::ALL.into_iter().filter(|arm| arm.axes().is_some()).count(), 5);
        let names = |arm: Arm| {
            let on = Axis::ALL.into_iter().zip(['i', 'f', 't', 'c']);
            on.filter(|(a, _)| arm.axes().unwrap().has(*a)).map(|(_, c)| c).collect::<String>()
        };
        for arm in Arm::OFF_LADDER {
            assert_eq!(format!("X{}", names(arm)), arm.name());
        }
    }
}
