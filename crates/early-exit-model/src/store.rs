//! Keeping a model with exits: what was trained, and of which base model.

use std::path::Path;

use causal_lm::{CausalLm, weights::save_safetensors};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tch::{Device, Kind, Tensor};

use crate::{Error, model::EarlyExitModel, model::ExitConfig, sites::Sites};

const DESCRIPTION: &str = "early_exit.json";
const TENSORS: &str = "early_exit.safetensors";
const VERSION: u32 = 1;

/// What stands beside the tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    version: u32,
    sites: Sites,
    base_sha256: String,
    config: ExitConfig,
}

/// SHA-256 over a model's configuration and its base weights, as 64 hexadecimal digits.
///
/// Tells models apart, and types of weights too: gates are trained on the states that these very
/// weights give.
pub fn digest(lm: &CausalLm) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{:?} {:?}", lm.config(), lm.kind()));
    for (name, tensor) in lm.named_parameters() {
        digest.update(&name);
        let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        digest.update(&bytes);
    }
    format!("{:x}", digest.finalize())
}

impl EarlyExitModel {
    /// Writes what was trained into a folder that is there: `early_exit.json` says what it is and
    /// belongs to, `early_exit.safetensors` holds adapter (or all weights) and gates.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Lm`] if they cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let named: Vec<_> =
            self.named_parameters().into_iter().map(|(n, t)| (n, t.detach())).collect();
        save_safetensors(&folder.join(TENSORS), &named)?;
        let description = Description {
            version: VERSION,
            sites: self.sites().clone(),
            base_sha256: digest(self.reference()),
            config: self.config().clone(),
        };
        let path = folder.join(DESCRIPTION);
        let text = serde_json::to_string_pretty(&description)
            .map_err(|e| Error::Format { path: path.clone(), message: e.to_string() })?;
        std::fs::write(&path, text + "\n").map_err(|source| Error::Io {
            action: "write",
            path,
            source,
        })
    }

    /// Reads what [`EarlyExitModel::save`] wrote, for the base model `lm`; where `sites` are given,
    /// it must have been trained for these.
    ///
    /// # Errors
    /// [`Error::Mismatch`] naming both, if it belongs to another base model or was trained for other
    /// sites; [`Error::Format`], [`Error::Io`] or [`Error::Lm`] if the files are not whole.
    pub fn load(folder: &Path, lm: &CausalLm, sites: Option<&Sites>) -> Result<Self, Error> {
        let path = folder.join(DESCRIPTION);
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let found: Description = serde_json::from_str(&text)
            .map_err(|e| Error::Format { path: path.clone(), message: e.to_string() })?;
        if found.version != VERSION {
            let message = format!("version: expected {VERSION}, found {}", found.version);
            return Err(Error::Format { path, message });
        }
        let mismatch = |what, expected: String, found: String| {
            Err(Error::Mismatch { path: folder.to_owned(), what, expected, found })
        };
        let base = digest(lm);
        if found.base_sha256 != base {
            return mismatch("base model (SHA-256 of its weights)", found.base_sha256, base);
        }
        if let Some(sites) = sites.filter(|sites| **sites != found.sites) {
            return mismatch("exit sites", found.sites.to_string(), sites.to_string());
        }
        let config = ExitConfig { sites: found.sites.blocks().to_vec(), ..found.config };
        let model = Self::new(lm, &config, Seed::new(0))?;
        let path = folder.join(TENSORS);
        let saved = Tensor::read_safetensors(&path).map_err(|source| causal_lm::Error::Torch {
            what: format!("reading {}", path.display()),
            source,
        })?;
        let bad = |message: String| Error::Format { path: path.clone(), message };
        let named = model.named_parameters();
        if let Some((name, _)) = saved.iter().find(|(name, _)| named.iter().all(|(n, _)| n != name))
        {
            return Err(bad(format!("tensor {name} is not part of such a model")));
        }
        let _guard = tch::no_grad_guard();
        for (name, mut parameter) in named {
            let (_, tensor) = saved
                .iter()
                .find(|(n, _)| *n == name)
                .ok_or_else(|| bad(format!("tensor {name} is missing")))?;
            if tensor.size() != parameter.size() {
                let (expected, found) = (parameter.size(), tensor.size());
                return Err(bad(format!("tensor {name}: expected {expected:?}, found {found:?}")));
            }
            if tensor.isfinite().all().to_kind(Kind::Int64).int64_value(&[]) == 0 {
                let (what, found) =
                    (format!("tensor {name} of {}", path.display()), "NaN or infinite");
                return Err(Error::NotFinite { what, found: found.into() });
            }
            parameter.copy_(tensor);
        }
        Ok(model)
    }
}
