//! NVRTC, NVIDIA's compiler of CUDA C as a library: a cubin for the card that is there, at run time.

use super::kernels::Source;
use super::libraries::{Opened, Wanted};
use crate::backends::Unsupported;
use crate::backends::cpu::dylib::Location;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

/// Where NVRTC may be.
pub(super) const NVRTC: Wanted = Wanted {
    about: "NVIDIA's compiler NVRTC",
    variable: "CUTGPU_LIBNVRTC",
    names: &["libnvrtc.so.13", "libnvrtc.so.12"],
    wheels: &["cu13", "cuda_nvrtc"],
    advice: "pip install nvidia-cuda-nvrtc (CUDA 13) or nvidia-cuda-nvrtc-cu12",
};

/// What its library of built-in functions is called, less the version.
const BUILTINS: &str = "libnvrtc-builtins.so";

/// Makes machine code of a kernel's source.
pub(super) trait Compile {
    /// Who it is: part of a cubin's key, and of the record.
    fn version(&self) -> String;
    /// Where it came from.
    fn origin(&self) -> &str;
    /// A cubin of `source` for `target` (`sm_90a`), or why there is none.
    fn compile(&self, source: &Source, target: &str) -> Result<Vec<u8>, Unsupported>;
}

/// What kernels are compiled with.
pub fn options(source: &Source, target: &str) -> Vec<String> {
    let defines = source.defines.iter().map(|define| format!("--define-macro={define}"));
    [
        format!("--gpu-architecture={target}"),
        "--std=c++17".to_string(),
        "--device-as-default-execution-space".to_string(),
    ]
    .into_iter()
    .chain(defines)
    .collect()
}

type Program = *mut c_void;

/// An open NVRTC.
#[derive(Debug)]
pub(super) struct Nvrtc {
    version: (i32, i32),
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    log: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    cubin_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    cubin: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    library: Opened,
}

impl Nvrtc {
    /// Finds and opens it, with the library of built-in functions beside it.
    pub(super) fn open() -> Result<Self, Unsupported> {
        let library = Opened::open(&NVRTC)?;
        open_builtins(&library);
        Self::start(library)
    }

    /// Looks for every function.
    pub(super) fn start(library: Opened) -> Result<Self, Unsupported> {
        // SAFETY: the types are the signatures of nvrtc.h.
        unsafe {
            let ask: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int =
                library.function("nvrtcVersion")?;
            let mut version = (0, 0);
            if ask(&mut version.0, &mut version.1) != 0 {
                return Err(Unsupported("NVRTC does not tell its version: reinstall it".to_string()));
            }
            Ok(Self {
                version,
                create: library.function("nvrtcCreateProgram")?,
                compile: library.function("nvrtcCompileProgram")?,
                destroy: library.function("nvrtcDestroyProgram")?,
                log_size: library.function("nvrtcGetProgramLogSize")?,
                log: library.function("nvrtcGetProgramLog")?,
                cubin_size: library.function("nvrtcGetCUBINSize")?,
                cubin: library.function("nvrtcGetCUBIN")?,
                library,
            })
        }
    }

    /// Bytes that a pair of functions (size, then content) give.
    fn bytes(
        &self,
        program: Program,
        size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
        content: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    ) -> Option<Vec<u8>> {
        let mut len = 0;
        // SAFETY: the program is alive.
        if unsafe { size(program, &mut len) } != 0 {
            return None;
        }
        let mut bytes = vec![0u8; len];
        // SAFETY: the buffer is as long as NVRTC said.
        (unsafe { content(program, bytes.as_mut_ptr().cast()) } == 0).then_some(bytes)
    }

    /// What went wrong with a program, in one sentence.
    fn failure(&self, program: Program, code: c_int, name: &str, target: &str) -> Unsupported {
        const INVALID_OPTION: c_int = 5;
        const BUILTINS_FAILED: c_int = 7;
        let log = self.bytes(program, self.log_size, self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let first =
            log.trim_end_matches('\0').lines().find(|line| line.contains("error")).unwrap_or_default();
        let version = self.version();
        Unsupported(match code {
            INVALID_OPTION => format!("{version} does not know {target}: install the NVRTC of a newer CUDA"),
            BUILTINS_FAILED => format!(
                "{version} does not find its {BUILTINS}: install the whole package nvidia-cuda-nvrtc again"
            ),
            _ => format!("{version} cannot compile {name} for {target} (error {code}): {first}"),
        })
    }
}

/// NVRTC looks for its built-in functions by name only; loaded before, they are found wherever they lie.
fn open_builtins(library: &Opened) {
    let files = library.folder().and_then(|folder| std::fs::read_dir(folder).ok());
    let is_builtins = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(BUILTINS))
    };
    for path in files.into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_builtins) {
        // Without them the compiler says what it lacks.
        let _ = Opened::at(Location::given(path), &NVRTC);
    }
}

impl Compile for Nvrtc {
    fn version(&self) -> String {
        format!("NVRTC {}.{}", self.version.0, self.version.1)
    }

    fn origin(&self) -> &str {
        self.library.origin()
    }

    fn compile(&self, source: &Source, target: &str) -> Result<Vec<u8>, Unsupported> {
        let name = source.name;
        let broken = |_| Unsupported(format!("{name} holds a 0: this program is damaged"));
        let text = CString::new(source.complete()).map_err(broken)?;
        let title = CString::new(format!("{name}.cu")).map_err(broken)?;
        let options: Result<Vec<CString>, _> =
            options(source, target).into_iter().map(CString::new).collect();
        let options = options.map_err(broken)?;
        let addresses: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let mut program = ptr::null_mut();
        // SAFETY: the strings end in 0, and there are no headers.
        let code = unsafe {
            (self.create)(&mut program, text.as_ptr(), title.as_ptr(), 0, ptr::null(), ptr::null())
        };
        if code != 0 {
            return Err(Unsupported(format!("{} cannot read {name} (error {code})", self.version())));
        }
        // SAFETY: the program is alive, and there are as many options as is said.
        let code = unsafe { (self.compile)(program, addresses.len() as c_int, addresses.as_ptr()) };
        let made = match code {
            0 => self.bytes(program, self.cubin_size, self.cubin).filter(|cubin| !cubin.is_empty()),
            _ => None,
        };
        let answer = made.ok_or_else(|| self.failure(program, code, name, target));
        // SAFETY: the program is alive, and nobody uses it after this.
        unsafe { (self.destroy)(&mut program) };
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels;
    use super::*;

    #[test]
    fn what_nvrtc_makes_is_a_cubin_and_what_it_does_not_know_is_one_sentence() {
        let nvrtc = match Nvrtc::open() {
            Ok(nvrtc) => nvrtc,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let cubin = nvrtc.compile(&kernels::COPY, "sm_80").unwrap();
        assert_eq!(&cubin[..4], b"\x7fELF");
        let said = nvrtc.compile(&kernels::COPY, "sm_999").unwrap_err().0;
        assert!(said.contains("does not know sm_999"), "{said}");
        let broken = Source { name: "broken", file: "broken.cu", text: "int f( { }", defines: &[] };
        let said = nvrtc.compile(&broken, "sm_80").unwrap_err().0;
        assert!(said.contains("cannot compile broken for sm_80") && said.contains("error"), "{said}");
    }
}
