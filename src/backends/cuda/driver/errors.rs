//! What a driver's error means to a user, in one sentence each.

use crate::backends::{Fault, Unsupported};

/// A call of the driver that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::backends::cuda) enum DriverError {
    /// It answered with an error.
    #[error("{call} gave CUDA error {code}, {}", meaning(*code))]
    Code {
        /// Name of the function.
        call: &'static str,
        /// Its CUresult.
        code: i32,
    },
    /// The driver's library has no such function.
    #[error("the NVIDIA driver has no {call}, so it is too old: install a newer driver")]
    Missing {
        /// Name of the function.
        call: &'static str,
    },
    /// This program asked for something that makes no sense.
    #[error("{call}: {what}")]
    Refused {
        /// Name of the function.
        call: &'static str,
        /// Why.
        what: String,
    },
}

/// CUDA_ERROR_OUT_OF_MEMORY
pub(in crate::backends::cuda) const OUT_OF_MEMORY: i32 = 2;

/// Errors after which the context is dead: only a new process can use the device again.
const FATAL: &[i32] = &[4, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 810, 999];

/// Errors that a user can meet (CUDA Driver API, `CUresult`): what happened and, after a colon, what to do.
const MEANINGS: &[(i32, &str)] = &[
    (1, "a value was refused"),
    (OUT_OF_MEMORY, "the device has no memory left: end other programs on it, or take a smaller case"),
    (3, "the driver was not initialised"),
    (4, "the driver is shutting down"),
    (
        34,
        "libcuda.so.1 is the stub of the toolkit and no driver: take the folder `stubs` out of LD_LIBRARY_PATH",
    ),
    (36, "this call needs a newer driver"),
    (
        46,
        "another process uses the device exclusively: end it, or run nvidia-smi --compute-mode=DEFAULT as root",
    ),
    (100, "no device answers: look at nvidia-smi, and start a container with --gpus all"),
    (101, "there is no device of this number: CUDA_VISIBLE_DEVICES may hide it"),
    (200, "the cubin is damaged"),
    (209, "the cubin was made for another architecture"),
    (214, "the device's memory has an error that could not be corrected: reset the device"),
    (218, "the PTX is damaged"),
    (220, "a link between devices failed"),
    (221, "the driver's compiler of PTX is missing: reinstall the driver"),
    (222, "the PTX is newer than the driver: install a newer driver"),
    (226, "a fault of the device was contained"),
    (500, "there is no function of this name"),
    (700, "a kernel used an address that it may not"),
    (701, "a kernel wants more registers or threads than a block has"),
    (702, "a kernel ran too long and was stopped"),
    (709, "the context is gone"),
    (710, "a kernel's assertion failed"),
    (714, "a kernel's stack broke"),
    (715, "a kernel met an illegal instruction"),
    (716, "a kernel used an address that is not aligned"),
    (717, "a kernel used an address of the wrong kind of memory"),
    (718, "a kernel jumped to nowhere"),
    (719, "a kernel ended with a fault"),
    (801, "the device or driver does not support this"),
    (802, "the device is still starting (its fabric manager may not run)"),
    (
        803,
        "the driver's kernel module and its libraries differ in version: restart the machine after an update",
    ),
    (804, "forward compatibility is not supported on this device: remove the cuda-compat package"),
    (810, "the MPS server ended this client"),
    (999, "an error that the driver does not explain: dmesg may"),
];

fn meaning(code: i32) -> &'static str {
    MEANINGS.iter().find(|(known, _)| *known == code).map_or("an unknown error", |(_, meaning)| meaning)
}

impl From<DriverError> for Fault {
    fn from(error: DriverError) -> Self {
        match error {
            DriverError::Code { code: OUT_OF_MEMORY, .. } => Self::OutOfMemory(error.to_string()),
            DriverError::Code { code, .. } if FATAL.contains(&code) => Self::DeviceLost(error.to_string()),
            DriverError::Missing { .. } => Self::Unsupported(error.to_string()),
            _ => Self::Library(error.to_string()),
        }
    }
}

impl From<DriverError> for Unsupported {
    fn from(error: DriverError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_and_what_it_costs() {
        let of = |code| Fault::from(DriverError::Code { call: "cuX", code });
        assert!(matches!(of(2), Fault::OutOfMemory(_)));
        for code in FATAL {
            assert!(matches!(of(*code), Fault::DeviceLost(_)), "{code}");
        }
        assert!(matches!(of(1), Fault::Library(_)));
        assert!(of(12345).to_string().contains("CUDA error 12345, an unknown error"));
        assert!(of(34).to_string().contains("stub"));
    }

    #[test]
    fn the_table_has_each_error_once_and_one_sentence_each() {
        for pair in MEANINGS.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{pair:?}");
        }
        assert!(MEANINGS.iter().all(|(_, meaning)| !meaning.contains('.') || meaning.contains("so.1")));
    }
}
