//! Compiles kernels for the processor: `g++` reads the unchanged source after the emulator's header.

use cutgpu::backends::cuda::kernels::{HEADERS, Source};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A change of one file's text.
pub(crate) struct Edit<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

/// Whether kernels can be compiled here, and if not, what to install.
pub(crate) fn is_here() -> bool {
    let here = Command::new("g++").arg("--version").output().is_ok_and(|output| output.status.success());
    if !here {
        println!(
            "left out: there is no g++ here, so no CUDA kernel was executed (Debian: apt-get install g++)"
        );
    }
    here
}

/// Where [`build`] puts a unit's library.
pub(crate) fn library(folder: &Path, source: &Source) -> PathBuf {
    folder.join(source.name).join(format!("{}.so", source.name))
}

/// Compiles a unit into `folder`, with one file edited or none. Its files lie in a folder of its own: units are
/// compiled side by side, and one must not find a header that another is just writing.
pub(crate) fn build(source: &Source, edit: Option<&Edit>, folder: &Path) -> Result<(), String> {
    let own = folder.join(source.name);
    std::fs::create_dir_all(&own).map_err(|error| error.to_string())?;
    let files = HEADERS.iter().map(|(name, text)| (*name, *text)).chain([(source.file, source.text)]);
    for (name, text) in files {
        let edited = edit.filter(|edit| edit.file == name).map_or(text, |edit| edit.text);
        std::fs::write(own.join(name), edited).map_err(|error| error.to_string())?;
    }
    let wrapper = own.join(format!("{}.cpp", source.name));
    std::fs::write(&wrapper, wrapped(source)).map_err(|error| error.to_string())?;
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cuda_on_cpu/emulator.h");
    let mut command = Command::new("g++");
    command.args(["-std=c++17", "-O1", "-shared", "-fPIC", "-fno-strict-aliasing", "-ffp-contract=off"]);
    command.args(["-fsanitize=alignment", "-fsanitize-undefined-trap-on-error", "-w", "-include"]);
    command.arg(header).args(source.defines.iter().map(|define| format!("-D{define}")));
    let output = command.arg(&wrapper).arg("-o").arg(library(folder, source)).output();
    let output = output.map_err(|error| format!("g++: {error}"))?;
    let said = || format!("{}: {}", source.name, String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(said()) }
}

/// The unit, and for each entry a function that takes its parameters by their addresses.
fn wrapped(source: &Source) -> String {
    let launcher = |entry: &str| {
        format!(
            "extern \"C\" void emulated_{entry}(const unsigned* grid, const unsigned* block, size_t shared, \
             void** arguments) {{ emulator::launch_kernel({entry}, grid, block, shared, arguments); }}\n"
        )
    };
    let launchers: String = source.entries().into_iter().map(launcher).collect();
    format!("#include \"{}\"\n{launchers}", source.file)
}
