//! NVML, the management library that comes with the driver: clocks, reasons to lower them, power, energy, and
//! who else is on the card. What a card or a driver does not tell is none; nothing here is needed to compute.

use super::libraries::{Opened, Wanted};
use crate::backends::{Telemetry, Unsupported};
use std::ffi::{CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr;

/// Where NVML may be.
const NVML: Wanted = Wanted {
    about: "NVIDIA's management library",
    variable: "CUTGPU_LIBNVML",
    names: &["libnvidia-ml.so.1"],
    wheels: &[],
    advice: "it comes with the driver; in a container, allow the capability `utility`",
};

type Device = *mut c_void;
type Number = unsafe extern "C" fn(Device, *mut c_uint) -> c_int;
type Long = unsafe extern "C" fn(Device, *mut c_ulonglong) -> c_int;
type Kind = unsafe extern "C" fn(Device, c_int, *mut c_uint) -> c_int;
type Processes = unsafe extern "C" fn(Device, *mut c_uint, *mut Process) -> c_int;

/// nvmlProcessInfo_v2_t
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Process {
    pid: c_uint,
    bytes: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

/// A device as NVML knows it.
pub(super) struct Nvml {
    device: Device,
    shutdown: unsafe extern "C" fn() -> c_int,
    clock: Option<Kind>,
    temperature: Option<Kind>,
    reasons: Option<Long>,
    energy: Option<Long>,
    power: Option<Number>,
    limit: Option<Number>,
    default_limit: Option<Number>,
    link_generation: Option<Number>,
    link_width: Option<Number>,
    processes: Option<Processes>,
}

impl Nvml {
    /// Opens the device at this place on the bus.
    pub(super) fn open(bus_id: &str) -> Result<Self, Unsupported> {
        let library = Opened::open(&NVML)?;
        // SAFETY: the types are the signatures of nvml.h.
        unsafe {
            let init: unsafe extern "C" fn() -> c_int = library.function("nvmlInit_v2")?;
            let shutdown: unsafe extern "C" fn() -> c_int = library.function("nvmlShutdown")?;
            let find: unsafe extern "C" fn(*const c_char, *mut Device) -> c_int =
                library.function("nvmlDeviceGetHandleByPciBusId_v2")?;
            let mut opened = Self {
                device: ptr::null_mut(),
                shutdown,
                clock: library.function("nvmlDeviceGetClockInfo").ok(),
                temperature: library.function("nvmlDeviceGetTemperature").ok(),
                reasons: library.function("nvmlDeviceGetCurrentClocksThrottleReasons").ok(),
                energy: library.function("nvmlDeviceGetTotalEnergyConsumption").ok(),
                power: library.function("nvmlDeviceGetPowerUsage").ok(),
                limit: library.function("nvmlDeviceGetPowerManagementLimit").ok(),
                default_limit: library.function("nvmlDeviceGetPowerManagementDefaultLimit").ok(),
                link_generation: library.function("nvmlDeviceGetCurrPcieLinkGeneration").ok(),
                link_width: library.function("nvmlDeviceGetCurrPcieLinkWidth").ok(),
                processes: library.function("nvmlDeviceGetComputeRunningProcesses_v3").ok(),
            };
            let failed = |call: &str, code: c_int| Unsupported(format!("{call} gave NVML error {code}"));
            match init() {
                0 => {}
                code => {
                    // What was not started must not be shut down.
                    std::mem::forget(opened);
                    return Err(failed("nvmlInit", code));
                }
            }
            let bus_id = CString::new(bus_id).unwrap_or_default();
            match find(bus_id.as_ptr(), &mut opened.device) {
                0 => Ok(opened),
                code => Err(failed("nvmlDeviceGetHandleByPciBusId", code)),
            }
        }
    }

    /// The state of the device now.
    pub(super) fn read(&self) -> Telemetry {
        const SM: c_int = 1;
        const CORE: c_int = 0;
        let kind = |ask: Option<Kind>, which: c_int| {
            let mut value = 0;
            // SAFETY: the device is open, and the result goes to a live variable.
            ask.filter(|ask| unsafe { ask(self.device, which, &mut value) } == 0).map(|_| value)
        };
        let (limit, default) = (self.number(self.limit), self.number(self.default_limit));
        let link = self.number(self.link_generation).zip(self.number(self.link_width));
        Telemetry {
            sm_mhz: kind(self.clock, SM),
            reasons: self.long(self.reasons),
            temperature_c: kind(self.temperature, CORE),
            milliwatts: self.number(self.power),
            power_capped: limit.zip(default).map(|(limit, default)| limit < default),
            energy_mj: self.long(self.energy),
            pcie: link.map(|(generation, width)| [generation, width]),
            foreign: self.pids().and_then(|pids| foreign(&pids, &Tree::of_run())),
        }
    }

    fn number(&self, ask: Option<Number>) -> Option<u32> {
        let mut value = 0;
        // SAFETY: the device is open, and the result goes to a live variable.
        ask.filter(|ask| unsafe { ask(self.device, &mut value) } == 0).map(|_| value)
    }

    fn long(&self, ask: Option<Long>) -> Option<u64> {
        let mut value = 0;
        // SAFETY: the device is open, and the result goes to a live variable.
        ask.filter(|ask| unsafe { ask(self.device, &mut value) } == 0).map(|_| value)
    }

    /// Processes that compute on the device.
    fn pids(&self) -> Option<Vec<u32>> {
        const MOST: usize = 256;
        let mut list = [Process::default(); MOST];
        let mut count = MOST as c_uint;
        let ask = self.processes?;
        // SAFETY: the device is open, and the list has as many entries as is said.
        let code = unsafe { ask(self.device, &mut count, list.as_mut_ptr()) };
        let listed = list.iter().take(count as usize).map(|process| process.pid).collect();
        (code == 0).then_some(listed)
    }
}

impl Drop for Nvml {
    fn drop(&mut self) {
        // SAFETY: it was started, and the device is not used after this.
        unsafe { (self.shutdown)() };
    }
}

/// The processes of this run: the one that started this worker, and all below it.
struct Tree {
    root: u32,
    parent: fn(u32) -> Option<u32>,
}

impl Tree {
    fn of_run() -> Self {
        let itself = std::process::id();
        Self { root: parent(itself).unwrap_or(itself), parent }
    }

    /// Whether `pid` is of this run; none where it cannot be known, as for a process that this one cannot see.
    fn holds(&self, pid: u32) -> Option<bool> {
        const DEEPEST: usize = 64;
        let mut pid = pid;
        for _ in 0..DEEPEST {
            match pid {
                pid if pid == self.root => return Some(true),
                0 | 1 => return Some(false),
                _ => pid = (self.parent)(pid)?,
            }
        }
        None
    }
}

/// The parent of a process, behind the name in parentheses.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// How many of the processes are none of the run's; none where one of them cannot be told.
fn foreign(pids: &[u32], tree: &Tree) -> Option<u32> {
    let ours: Option<Vec<bool>> = pids.iter().map(|&pid| tree.holds(pid)).collect();
    Some(ours?.iter().filter(|ours| !**ours).count() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_foreign_unless_it_is_below_the_run() {
        let tree = Tree {
            root: 10,
            parent: |pid| {
                [(10, 1), (11, 10), (12, 11), (20, 1), (21, 20)]
                    .iter()
                    .find(|(child, _)| *child == pid)
                    .map(|pair| pair.1)
            },
        };
        for (pids, count) in
            [(&[][..], Some(0)), (&[10, 11, 12], Some(0)), (&[12, 21, 20], Some(2)), (&[12, 99], None)]
        {
            assert_eq!(foreign(pids, &tree), count, "{pids:?}");
        }
    }

    #[test]
    fn this_process_is_of_its_own_run() {
        assert_eq!(Tree::of_run().holds(std::process::id()), Some(true));
    }

    #[test]
    fn a_machine_without_the_library_is_told_so() {
        match Nvml::open("0000:01:00.0") {
            Ok(_) => eprintln!("skipped: this machine has a GPU"),
            Err(said) => {
                assert!(said.0.contains("libnvidia-ml.so.1") || said.0.contains("NVML error"), "{said}")
            }
        }
    }

    #[test]
    fn a_process_is_laid_out_as_the_header_says() {
        assert_eq!(size_of::<Process>(), 24);
    }
}
