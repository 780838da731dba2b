//! Which model, in which type, on how many threads.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{LoadOptions, Pretrained, lora::LoraAdapter};
use clap::{Args, ValueEnum};
use rl_core::device::DeviceChoice;
use tch::Kind;

const DEFAULT: &str = "models/SmolLM2-135M-Instruct.Q4_1.gguf";

/// Arguments that name a model.
#[derive(Args)]
#[expect(clippy::struct_field_names, reason = "the field is the flag's name")]
pub(crate) struct Model {
    /// A Hugging Face folder or a .gguf file [default: the model that `cargo xtask setup` fetched]
    #[arg(long)]
    pub(crate) model: Option<PathBuf>,
    /// An adapter in PEFT's layout, added to the weights
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:NUMBER
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Type of the weights: f32 is exact, bf16 about twice as fast
    #[arg(long, value_enum)]
    dtype: Option<Dtype>,
    /// Threads [default: one a core]
    #[arg(long)]
    threads: Option<u16>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Dtype {
    F32,
    Bf16,
}

impl Dtype {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }
}

impl Model {
    /// The path asked for, or that of the default model.
    pub(crate) fn path(&self) -> anyhow::Result<PathBuf> {
        path_or_default(self.model.as_deref())
    }

    /// Where the weights lie that were loaded; nowhere as they are if an adapter was added to them.
    pub(crate) fn origin(&self) -> anyhow::Result<Option<PathBuf>> {
        self.adapter.is_none().then(|| self.path()).transpose()
    }

    /// Its flags as they were given, each with a space before it.
    pub(crate) fn flags(&self) -> String {
        let mut out = String::new();
        let mut flag = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                out += &[" --", name, " ", &value].concat();
            }
        };
        let path = |path: &PathBuf| path.display().to_string();
        flag("model", self.model.as_ref().map(path));
        flag("adapter", self.adapter.as_ref().map(path));
        flag("device", (self.device != DeviceChoice::Auto).then(|| self.device.to_string()));
        let dtype = self.dtype.and_then(|dtype| dtype.to_possible_value());
        flag("dtype", dtype.map(|value| value.get_name().to_owned()));
        flag("threads", self.threads.map(|threads| threads.to_string()));
        out
    }

    /// Type and device; threads are set as asked.
    pub(crate) fn options(&self, otherwise: Dtype) -> anyhow::Result<LoadOptions> {
        if let Some(threads) = self.threads {
            anyhow::ensure!(threads > 0, "--threads: expected at least 1, found 0");
            tch::set_num_threads(i32::from(threads));
        }
        let kind = self.dtype.unwrap_or(otherwise).kind();
        Ok(LoadOptions { kind, device: self.device.resolve()? })
    }

    /// Loads it, adapter merged; `otherwise` is the type where none was asked for.
    pub(crate) fn load(&self, otherwise: Dtype) -> anyhow::Result<Pretrained> {
        let options = self.options(otherwise)?;
        let mut model = Pretrained::load(&self.path()?, &options)?;
        if let Some(folder) = &self.adapter {
            let adapter = LoraAdapter::load(folder, model.lm.config())?.to_device(options.device);
            model.lm = model.lm.with_adapter(Some(adapter))?.merged();
        }
        Ok(model)
    }
}

/// The path asked for, or that of the default model.
pub(crate) fn path_or_default(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = asked {
        return Ok(path.to_owned());
    }
    // target/PROFILE/forthright: the links of the set-up are beside the profile.
    let program = std::env::current_exe().context("finding this program")?;
    program
        .ancestors()
        .skip(1)
        .map(|folder| folder.join(DEFAULT))
        .find(|path| path.exists())
        .context("the default model is not there: run `cargo xtask setup`, or give --model")
}
