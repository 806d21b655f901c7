//! The `cutgpu` program.

fn main() -> std::process::ExitCode {
    cutgpu::cli::main()
}
