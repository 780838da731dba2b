//! Where tensors are kept.

use std::{fmt, str::FromStr, sync::Once};

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device};

/// A device by the name users give it: `auto`, `cpu`, `cuda` or `cuda:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first GPU if libtorch can use one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU by its number.
    Cuda(usize),
}

/// A device that is not known or not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("device: expected {expected}, found {found}")]
pub struct Error {
    expected: String,
    found: String,
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad =
            || Error { expected: "auto, cpu, cuda or cuda:NUMBER".into(), found: text.to_owned() };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(bad)?;
                number.parse().map(Self::Cuda).map_err(|_| bad())
            }
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceChoice {
    /// The device, if this machine has it.
    ///
    /// # Errors
    /// [`Error`] for a GPU that libtorch does not see.
    pub fn resolve(self) -> Result<Device, Error> {
        let gpus = if self == Self::Cpu { 0 } else { gpus() };
        match self {
            Self::Auto if gpus > 0 => Ok(Device::Cuda(0)),
            Self::Auto | Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) if number < gpus => Ok(Device::Cuda(number)),
            Self::Cuda(_) => Err(Error {
                expected: match gpus {
                    0 => "cpu, since this libtorch sees no GPU".into(),
                    n => format!("a number below {n}, the GPUs that libtorch sees"),
                },
                found: self.to_string(),
            }),
        }
    }
}

/// GPUs that libtorch sees, its part for them opened if it is there.
fn gpus() -> usize {
    static OPENED: Once = Once::new();
    OPENED.call_once(open_cuda);
    if Cuda::is_available() { Cuda::device_count().max(0) as usize } else { 0 }
}

/// Opens `libtorch_cuda.so`, whose loading registers it with the libtorch that is linked.
///
/// Programs link the CPU's part only, so that one build serves machines with and without a GPU.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "opening a library runs its initializers")]
fn open_cuda() {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the initializers are libtorch's own, of the folder that this program was linked with;
    // they run once, since the caller sees to it.
    let opened = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
    if let Ok(library) = opened {
        // What it has registered must stay.
        std::mem::forget(library);
    }
}

#[cfg(not(target_os = "linux"))]
fn open_cuda() {}

/// The name of a device in records of runs: `cpu` or `cuda:0`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        Device::Mps => "mps".into(),
        Device::Vulkan => "vulkan".into(),
        Device::Cpu => "cpu".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for name in ["auto", "cpu", "cuda:0", "cuda:7"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for text in ["", "gpu", "cuda:", "cuda:-1", "CPU"] {
            let message = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(message.starts_with("device: expected auto, cpu, cuda"), "{message}");
        }
        let absent = DeviceChoice::Cuda(4096).resolve().unwrap_err().to_string();
        assert!(absent.ends_with("found cuda:4096"), "{absent}");
    }
}
