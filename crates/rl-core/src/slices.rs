//! The memory of tensors as slices: no copy, and no call into libtorch for each row.
#![expect(unsafe_code, reason = "raw tensor memory")]

use std::{mem::MaybeUninit, slice};

use tch::{Device, Kind, Tensor, kind::Element};

/// A number of which every pattern of bits is a value.
pub(crate) trait Number: Element + Copy {}

impl Number for f32 {}
impl Number for f64 {}

/// The tensor as [`numbers`] and [`flags`] can read it: on the CPU, one element after the other, with
/// no sign that is still to be changed. Shares its memory with `tensor` if that is so already.
pub(crate) fn host(tensor: &Tensor) -> Tensor {
    let host = tensor.detach().to_device(Device::Cpu).resolve_neg().contiguous();
    // Memory that was not libtorch's to begin with may start anywhere.
    let width = host.kind().elt_size_in_bytes();
    if host.data_ptr().addr().is_multiple_of(width) { host } else { host.copy() }
}

/// All elements of a tensor from [`host`].
pub(crate) fn numbers<T: Number>(tensor: &Tensor) -> &[T] {
    assert_eq!(tensor.kind(), T::KIND, "checked where it came in");
    // SAFETY: elements are of type `T`.
    unsafe { elements(tensor) }
}

/// All elements of a tensor of booleans from [`host`], as bytes: 0 is false, 1 true.
pub(crate) fn flags(tensor: &Tensor) -> &[u8] {
    assert_eq!(tensor.kind(), Kind::Bool, "checked where it came in");
    // SAFETY: libtorch's booleans are bytes. A `&[bool]` it must not be: a tensor of other bytes that
    // was declared to be one of booleans may hold any.
    unsafe { elements(tensor) }
}

/// # Safety
/// Elements are as large as `T`, and every pattern of their bits is a `T`.
unsafe fn elements<T>(tensor: &Tensor) -> &[T] {
    assert!(tensor.device() == Device::Cpu && tensor.is_contiguous(), "see `host`");
    if tensor.numel() == 0 {
        return &[];
    }
    let start = tensor.data_ptr().cast::<T>().cast_const();
    assert!(!start.is_null() && start.is_aligned(), "see `host`");
    // SAFETY: a contiguous tensor has all its elements from `start` on, and keeps its memory at least
    // as long as it is borrowed. Nobody writes there meanwhile: this thread is busy in this crate,
    // which does not, and another thread that wrote to a tensor of the same memory while it is used
    // here would break libtorch's own rules.
    unsafe { slice::from_raw_parts(start, tensor.numel()) }
}

/// A tensor on the CPU whose elements `write` is to write, all of them.
pub(crate) fn written<T: Number>(
    size: &[i64],
    write: impl FnOnce(&mut [MaybeUninit<T>]),
) -> Tensor {
    let tensor = Tensor::empty(size, (T::KIND, Device::Cpu));
    if tensor.numel() == 0 {
        return tensor;
    }
    let start = tensor.data_ptr().cast::<MaybeUninit<T>>();
    assert!(!start.is_null() && start.is_aligned(), "libtorch aligns what it allocates");
    // SAFETY: a new tensor is contiguous and nobody else has it; what is in it need not be a value.
    write(unsafe { slice::from_raw_parts_mut(start, tensor.numel()) });
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_any_kind_is_read() {
        let values = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]);
        let square = values.view([2, 2]);
        assert_eq!(numbers::<f32>(&host(&square.tr())), [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(numbers::<f32>(&host(&values.narrow(0, 1, 2))), [2.0, 3.0]);
        assert_eq!(host(&values).data_ptr(), values.data_ptr());
        // A sign that libtorch has put off.
        let conjugate = Tensor::complex(&values.zeros_like(), &values).conj().imag();
        assert_eq!(numbers::<f32>(&host(&conjugate)), [-1.0, -2.0, -3.0, -4.0]);
        assert_eq!(flags(&host(&values.gt(2.5))), [0, 0, 1, 1]);
        assert!(numbers::<f32>(&host(&values.narrow(0, 0, 0))).is_empty());
    }

    #[test]
    fn memory_that_starts_anywhere_is_copied() {
        let mut bytes = [0_u8; 17];
        let odd = usize::from(bytes.as_ptr().addr().is_multiple_of(2));
        bytes[odd..odd + 8].copy_from_slice(&2.5_f64.to_ne_bytes());
        let place = bytes[odd..].as_ptr();
        // SAFETY: one element in `bytes`, which outlives the tensor.
        let tensor = unsafe { Tensor::from_blob(place, &[1], &[1], Kind::Double, Device::Cpu) };
        assert!(!tensor.data_ptr().addr().is_multiple_of(8));
        assert_eq!(numbers::<f64>(&host(&tensor)), [2.5]);
    }

    #[test]
    fn what_is_written_is_in_the_tensor() {
        let tensor = written::<f64>(&[2, 2], |out| {
            out.write_copy_of_slice(&[1.0, 2.0, 3.0, 4.0]);
        });
        assert_eq!(tensor.size(), [2, 2]);
        assert_eq!(Vec::<f64>::try_from(tensor.flatten(0, -1)).unwrap(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(written::<f32>(&[3, 0], |_| unreachable!("nothing to write")).size(), [3, 0]);
    }
}
