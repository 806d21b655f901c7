//! Compiles the kernels for every architecture that they declare, and reads the machine code: NVRTC and
//! nvdisasm need no card.

use cutgpu::backends::cuda::kernels::{SOURCES, Source};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Folders that `make cuda-needs` and `make peers` fill.
const FOLDERS: [&str; 2] = [".peers/pip/nvidia-cuda-nvrtc", ".peers/python/nvidia/cu13/lib"];
const DISASSEMBLERS: [&str; 2] =
    [".peers/pip/nvidia-cuda-nvdisasm/nvdisasm", ".peers/python/triton/backends/nvidia/bin/nvdisasm"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The compiler's library.
struct Nvrtc {
    library: Library,
}

/// A unit's machine code and what the assembler said of it.
struct Compiled {
    source: &'static Source,
    arch: &'static str,
    cubin: Vec<u8>,
    log: String,
}

type Program = *mut c_void;

impl Nvrtc {
    fn open() -> Option<Self> {
        let folder = FOLDERS.map(|folder| root().join(folder)).into_iter().find(|folder| folder.is_dir())?;
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
        // The library looks for its builtins by their name alone: they come first.
        files.sort();
        let named = |part: &str| {
            let is = |file: &&PathBuf| {
                file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(part))
            };
            files.iter().find(is).cloned()
        };
        // SAFETY: NVIDIA's own libraries, whose initialisers only set up themselves.
        let load = |file: PathBuf| unsafe { Library::open(Some(file), RTLD_NOW | RTLD_GLOBAL) }.ok();
        std::mem::forget(load(named("libnvrtc-builtins.so")?)?);
        Some(Self { library: load(named("libnvrtc.so")?)? })
    }

    fn compile(&self, source: &'static Source, arch: &'static str) -> Result<Compiled, String> {
        let text = CString::new(source.complete()).unwrap();
        let mut options = vec![format!("--gpu-architecture={arch}")];
        options.extend(["--std=c++17", "-default-device", "--ptxas-options=-v"].map(String::from));
        options.extend(source.defines.iter().map(|define| format!("-D{define}")));
        let options: Vec<CString> = options.into_iter().map(|option| CString::new(option).unwrap()).collect();
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let name = CString::new(source.file).unwrap();
        // SAFETY: the functions have these types in NVRTC's documentation ("NVRTC", General Information and
        // Compilation); all buffers have the sizes that it was asked for, and live until it returns.
        unsafe {
            type Create = unsafe extern "C" fn(
                *mut Program,
                *const c_char,
                *const c_char,
                c_int,
                *const c_void,
                *const c_void,
            ) -> c_int;
            type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
            let mut program: Program = std::ptr::null_mut();
            let create = self.library.get::<Create>(b"nvrtcCreateProgram\0").unwrap();
            create(&mut program, text.as_ptr(), name.as_ptr(), 0, std::ptr::null(), std::ptr::null());
            let compile = self.library.get::<Compile>(b"nvrtcCompileProgram\0").unwrap();
            let code = compile(program, pointers.len() as c_int, pointers.as_ptr());
            let log = String::from_utf8_lossy(&self.bytes("ProgramLog", program)).into_owned();
            let cubin = if code == 0 { self.bytes("CUBIN", program) } else { vec![] };
            let destroy =
                self.library.get::<unsafe extern "C" fn(*mut Program) -> c_int>(b"nvrtcDestroyProgram\0");
            destroy.unwrap()(&mut program);
            let failed = || format!("{} for {arch} does not compile:\n{log}", source.name);
            if code == 0 { Ok(Compiled { source, arch, cubin, log }) } else { Err(failed()) }
        }
    }

    /// What `nvrtcGet..` gives of a program, after `nvrtcGet..Size`.
    ///
    /// # Safety
    /// `program` was compiled.
    unsafe fn bytes(&self, what: &str, program: Program) -> Vec<u8> {
        let (size_of, get) = (format!("nvrtcGet{what}Size\0"), format!("nvrtcGet{what}\0"));
        let mut size = 0usize;
        // SAFETY: as in `compile`.
        unsafe {
            let size_of =
                self.library.get::<unsafe extern "C" fn(Program, *mut usize) -> c_int>(size_of.as_bytes());
            size_of.unwrap()(program, &mut size);
            let mut bytes = vec![0u8; size];
            let get = self.library.get::<unsafe extern "C" fn(Program, *mut u8) -> c_int>(get.as_bytes());
            get.unwrap()(program, bytes.as_mut_ptr());
            bytes
        }
    }
}

impl Compiled {
    /// The numbers before or after `what` in the assembler's lines.
    fn numbers<'a>(&'a self, what: &'a str) -> impl Iterator<Item = u32> + 'a {
        let before =
            move |line: &'a str| line.split(what).next()?.split_whitespace().next_back()?.parse().ok();
        self.log.lines().filter(move |line| line.contains(what)).filter_map(before)
    }

    fn check(&self) -> Result<(), String> {
        let (name, arch) = (self.source.name, self.arch);
        let spilled: u32 = self.numbers(" bytes spill stores").sum();
        let most =
            self.numbers(" registers").max().ok_or(format!("{name} for {arch}: no count of registers"))?;
        let budget = self.source.registers().unwrap();
        if spilled > 0 {
            return Err(format!("{name} for {arch} spills {spilled} bytes"));
        }
        if most > budget {
            return Err(format!("{name} for {arch} uses {most} registers of {budget}"));
        }
        Ok(())
    }

    /// Instructions that its header promises and its machine code lacks.
    fn lacks(&self, disassembler: &Path, folder: &Path) -> Vec<&'static str> {
        let file = folder.join(format!("{}.{}.cubin", self.source.name, self.arch));
        std::fs::write(&file, &self.cubin).unwrap();
        let output = Command::new(disassembler).arg("-c").arg(&file).output().unwrap();
        assert!(output.status.success(), "nvdisasm: {}", String::from_utf8_lossy(&output.stderr));
        let code = String::from_utf8_lossy(&output.stdout);
        let lacks = |wanted: &&str| !code.contains(&format!(" {wanted}"));
        self.source.instructions().into_iter().filter(lacks).collect()
    }
}

/// Every unit for every architecture that it declares, two at a time.
fn compile_all(nvrtc: &Nvrtc) -> (Vec<Compiled>, Vec<String>) {
    let all = SOURCES.iter().flat_map(|source| source.archs().into_iter().map(move |arch| (*source, arch)));
    let (left, done) = (Mutex::new(all), Mutex::new((vec![], vec![])));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((source, arch)) = left.lock().unwrap().next() else { return };
                    let compiled = nvrtc.compile(source, arch).and_then(|code| code.check().map(|()| code));
                    let mut done = done.lock().unwrap();
                    match compiled {
                        Ok(code) => done.0.push(code),
                        Err(what) => done.1.push(what),
                    }
                }
            });
        }
    });
    done.into_inner().unwrap()
}

#[test]
fn every_kernel_compiles_for_its_architectures_within_its_registers() {
    let Some(nvrtc) = Nvrtc::open() else {
        return println!(
            "left out: there is no NVRTC here, so no kernel was compiled for a card (make cuda-needs)"
        );
    };
    let clock = std::time::Instant::now();
    let (compiled, failed) = compile_all(&nvrtc);
    println!("compiled for cards: {}", compiled.len());
    println!("compiled for cards, seconds: {:.1}", clock.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let disassembler = DISASSEMBLERS.map(|file| root().join(file)).into_iter().find(|file| file.is_file());
    let Some(disassembler) = disassembler else {
        return println!(
            "left out: there is no nvdisasm here, so no machine code was read (make cuda-needs)"
        );
    };
    let folder = tempfile::tempdir().unwrap();
    for code in compiled.iter().filter(|code| !code.source.instructions().is_empty()) {
        let lacks = code.lacks(&disassembler, folder.path());
        assert!(lacks.is_empty(), "{} for {} lacks {lacks:?}", code.source.name, code.arch);
    }
}
