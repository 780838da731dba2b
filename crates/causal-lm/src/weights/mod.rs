//! Where a model's tensors come from, and where they go.

mod gguf;
mod header;
mod random;
mod safetensors;
mod save;

use tch::{Device, Kind, Tensor};

pub use self::{gguf::GgufSource, random::RandomSource, safetensors::SafetensorsSource};
use crate::Error;
pub(crate) use save::write_text;
pub use save::{save_safetensors, save_sharded};

/// Tensors by their published (Hugging Face) names.
pub trait TensorSource {
    /// Names of all tensors.
    fn names(&self) -> Vec<String>;

    /// Row-major shape of a tensor, if it is there.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// A tensor in the asked type and place.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], or what reading it reports.
    fn load(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor, Error>;

    /// File or folder, for messages.
    fn describe(&self) -> String;
}
